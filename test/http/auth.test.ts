// Who is let in by which header, and the rows of users that this makes.
import test from 'ava';
import {apiToken, serviceToken} from '../helpers/chat.ts';
import {databases} from '../helpers/database.ts';
import {ask, mustBeUnauthenticated, sendRaw, startApi, type Api} from '../helpers/http.ts';

const path = '/api/token/connection/';

test('E41, T9: a request without an Authorization header gets a plain challenge', async t => {
  const api = await startApi(t, 'sqlite');
  const answer = await ask(api, undefined, 'GET', path);
  mustBeUnauthenticated(t, answer, 'Bearer');
  t.is(answer.at('code'), 'unauthenticated');
});

test('E44, T20: a token in the query or in a cookie is none', async t => {
  const api = await startApi(t, 'sqlite');
  const query = await ask(
    api,
    undefined,
    'GET',
    `${path}?token=${apiToken('alice')}&access_token=${apiToken('alice')}`,
  );
  mustBeUnauthenticated(t, query, 'Bearer');
  const cookie = {cookie: `token=${apiToken('alice')}; authorization=Bearer ${apiToken('alice')}`};
  mustBeUnauthenticated(t, await ask(api, undefined, 'GET', path, undefined, cookie), 'Bearer');
});

const good = apiToken('alice');
const schemes: Record<string, string> = {
  'the scheme Basic': `Basic ${Buffer.from('alice:x').toString('base64')}`,
  'the scheme alone': 'Bearer',
  'a token without a scheme': good,
  'two spaces': `Bearer  ${good}`,
  'a comma behind it': `Bearer ${good},`,
  'two tokens': `Bearer ${good} ${good}`,
  'two tokens by a comma': `Bearer ${good},Bearer ${good}`,
  'a tab': `Bearer\t${good}`,
};
for (const [title, authorization] of Object.entries(schemes)) {
  test(`E42, T9: refused: an Authorization header with ${title}`, async t => {
    const api = await startApi(t, 'sqlite');
    mustBeUnauthenticated(
      t,
      await ask(api, undefined, 'GET', path, undefined, {authorization}),
      'Bearer error="invalid_token"',
    );
  });
}

test('E43, T9: refused: two Authorization headers, in either order', async t => {
  const api = await startApi(t, 'sqlite');
  for (const tokens of [
    [good, 'x'],
    ['x', good],
    [good, good],
  ]) {
    const lines = tokens.map(token => `Authorization: Bearer ${token}`);
    mustBeUnauthenticated(t, await sendRaw(api, [`GET ${path} HTTP/1.1`, 'Host: a', ...lines]), /invalid_token/);
    const [first = '', second = ''] = lines;
    // Node hides headers beyond the two thousandth unless it is told not to.
    const apart = [first, ...Array.from({length: 2_000}, () => 'X:'), second];
    mustBeUnauthenticated(t, await sendRaw(api, [`GET ${path} HTTP/1.1`, 'Host: a', ...apart]), /invalid_token/);
  }
});

test('E42: the scheme may be written in lower case', async t => {
  const api = await startApi(t, 'sqlite');
  t.is((await ask(api, undefined, 'GET', path, undefined, {authorization: `bearer ${good}`})).status, 200);
});

async function whoIs(api: Api, id: string): Promise<unknown> {
  return (await ask(api, serviceToken(), 'GET', `/api/users/${id}/`)).at('username');
}

for (const database of databases) {
  test(`${database}: a user is made at first sight, named by the claims, and once when twenty requests come at once`, async t => {
    const api = await startApi(t, database);
    const token = apiToken('alice', {preferred_username: 'Alice', name: 'Alice A.'});
    const answers = await Promise.all(Array.from({length: 20}, () => ask(api, token, 'GET', '/api/rooms/')));
    t.deepEqual([...new Set(answers.map(each => each.status))], [200]);
    t.is(await whoIs(api, 'alice'), 'Alice');
    await ask(api, apiToken('bob', {name: 'Bob'}), 'GET', '/api/rooms/');
    t.is(await whoIs(api, 'bob'), 'Bob');
    await ask(api, apiToken('carol'), 'GET', '/api/rooms/');
    t.is(await whoIs(api, 'carol'), 'carol');
  });

  test(`${database}: names in claims that cannot be stored do not keep their owner out`, async t => {
    const api = await startApi(t, database);
    for (const [i, name] of ['a\u0000b', '\ud800', 'x'.repeat(9_00), '😀'.repeat(200), '   ', 5, {}, null].entries()) {
      const answer = await ask(api, apiToken(`u${i}`, {name}), 'GET', '/api/rooms/');
      t.is(answer.status, 200, answer.text);
    }
  });

  test(`${database}: T42: a name in the claims that nobody could give over REST is passed over for the next`, async t => {
    const api = await startApi(t, database);
    const names = {
      esc: 'a\u001b[31mb',
      lines: 'a\nb',
      csi: '\u009b31m',
      unseen: '\u200b\u2060',
      nul: 'a\u0000b',
      half: '\ud800',
    };
    for (const [id, name] of Object.entries(names)) {
      await ask(api, apiToken(id, {preferred_username: name, name: ` Name of ${id} `}), 'GET', '/api/rooms/');
      t.is(await whoIs(api, id), `Name of ${id}`);
      await ask(api, apiToken(`${id}2`, {name}), 'GET', '/api/rooms/');
      t.is(await whoIs(api, `${id}2`), `${id}2`);
    }
    await ask(api, apiToken('long', {name: '😀'.repeat(200)}), 'GET', '/api/rooms/');
    t.is(await whoIs(api, 'long'), '😀'.repeat(150), 'and one that is too long is cut');
  });

  test(`${database}: a deactivated user’s token is refused until the user is put again`, async t => {
    const api = await startApi(t, database);
    t.is((await ask(api, apiToken('alice'), 'GET', '/api/rooms/')).status, 200);
    t.is((await ask(api, serviceToken(), 'DELETE', '/api/users/alice/')).status, 204);
    const refused = await ask(api, apiToken('alice'), 'GET', '/api/rooms/');
    mustBeUnauthenticated(t, refused, /invalid_token/);
    t.is(refused.at('code'), 'user_deactivated');
    t.is((await ask(api, serviceToken(), 'PUT', '/api/users/alice/', {username: 'Alice'})).status, 200);
    t.is((await ask(api, apiToken('alice'), 'GET', '/api/rooms/')).status, 200);
  });

  test(`${database}: who posts is looked for with the post: refused when deactivated, in the room or not, and made when new`, async t => {
    const api = await startApi(t, database);
    const room = await ask(api, serviceToken(), 'POST', '/api/rooms/', {name: 'general', members: ['alice']});
    const messages = `/api/rooms/${String(room.at('id'))}/messages/`;
    const post = (user: string, claims = {}) => ask(api, apiToken(user, claims), 'POST', messages, {content: 'hello'});
    await ask(api, serviceToken(), 'PUT', '/api/users/bob/', {username: 'Bob'});
    for (const user of ['alice', 'bob']) {
      t.is((await ask(api, serviceToken(), 'DELETE', `/api/users/${user}/`)).status, 204);
      const refused = await post(user);
      mustBeUnauthenticated(t, refused, /invalid_token/);
      t.is(refused.at('code'), 'user_deactivated', user);
    }
    t.is((await post('carol', {name: 'Carol'})).status, 404);
    t.is(await whoIs(api, 'carol'), 'Carol');
    await ask(api, serviceToken(), 'PUT', '/api/users/alice/', {username: 'Alice'});
    t.is((await post('alice')).status, 201);
  });
}
