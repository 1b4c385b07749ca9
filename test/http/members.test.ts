import test from 'ava';
import {apiToken, serviceToken} from '../helpers/chat.ts';
import {databases} from '../helpers/database.ts';
import {ask, startApi, statusesOf, testRoom} from '../helpers/http.ts';

const mia = apiToken('mia');
const ann = apiToken('ann');
const sam = apiToken('sam');
const service = serviceToken();

for (const database of databases) {
  test(`${database}: E70: one joins a public room once, and a refused join consumes no version`, async t => {
    const api = await startApi(t, database);
    const room = `/api/rooms/${await testRoom(api.chat)}/`;
    t.is((await ask(api, sam, 'POST', '/api/rooms/999999/join/')).status, 404);
    const before = await ask(api, service, 'GET', room);
    const joined = await ask(api, sam, 'POST', `${room}join/`);
    t.is(joined.status, 200);
    t.is(joined.at('user.id'), 'sam');
    t.is(joined.at('room.version'), Number(before.at('version')) + 1);
    t.is(joined.at('room.member_count'), 3);
    t.is(joined.at('room.bumped_at'), before.at('bumped_at'));
    const again = await ask(api, sam, 'POST', `${room}join/`);
    t.is(again.status, 409);
    t.is(again.at('detail'), 'already a member');
    t.is((await ask(api, service, 'GET', room)).at('version'), joined.at('room.version'));
  });

  test(`${database}: E72: of two first joins at once one is taken, and the version rises by one`, async t => {
    const api = await startApi(t, database);
    const room = `/api/rooms/${await testRoom(api.chat)}/`;
    const {body} = await ask(api, service, 'GET', room);
    const answers = await Promise.all(Array.from({length: 8}, () => ask(api, sam, 'POST', `${room}join/`)));
    t.deepEqual(statusesOf(answers), [200, ...Array.from({length: 7}, () => 409)]);
    const after = await ask(api, service, 'GET', room);
    t.is(after.at('version'), Number(body['version']) + 1);
    t.is(after.at('member_count'), Number(body['member_count']) + 1);
  });

  test(`${database}: E71: who left may not post, and leaving twice is refused`, async t => {
    const api = await startApi(t, database);
    const room = `/api/rooms/${await testRoom(api.chat)}/`;
    const left = await ask(api, mia, 'POST', `${room}leave/`);
    t.is(left.status, 200);
    t.is(left.at('room.member_count'), 1);
    t.is((await ask(api, mia, 'POST', `${room}leave/`)).status, 404);
    t.is((await ask(api, mia, 'POST', `${room}messages/`, {content: 'x'})).status, 404);
    t.is((await ask(api, mia, 'GET', `${room}messages/`)).status, 404);
  });

  test(`${database}: E70: who was never in leaves nothing, and a room that its last member left is there to be joined`, async t => {
    const api = await startApi(t, database);
    const room = `/api/rooms/${await testRoom(api.chat)}/`;
    t.is((await ask(api, sam, 'POST', `${room}leave/`)).status, 404);
    for (const [user, left] of [
      [mia, 1],
      [ann, 0],
    ] as const) {
      t.is((await ask(api, user, 'POST', `${room}leave/`)).at('room.member_count'), left);
    }
    t.is((await ask(api, service, 'GET', room)).at('member_count'), 0);
    t.is((await ask(api, sam, 'POST', `${room}join/`)).at('room.member_count'), 1);
    t.is((await ask(api, sam, 'POST', `${room}messages/`, {content: 'anybody?'})).status, 201);
  });

  test(`${database}: the read marker goes forward only, and not past the last message`, async t => {
    const api = await startApi(t, database);
    const room = `/api/rooms/${await testRoom(api.chat)}/`;
    for (const content of ['1', '2', '3']) await ask(api, mia, 'POST', `${room}messages/`, {content});
    for (const seq of [-1, 1.5, '1', null, 2 ** 53]) {
      t.is((await ask(api, ann, 'POST', `${room}read/`, {seq})).status, 400, String(seq));
    }
    const read = async (seq: number) => (await ask(api, ann, 'POST', `${room}read/`, {seq})).body;
    t.deepEqual(await read(2), {last_read_seq: 2, unread_count: 1});
    t.deepEqual(await read(1), {last_read_seq: 2, unread_count: 1});
    t.deepEqual(await read(Number.MAX_SAFE_INTEGER), {last_read_seq: 3, unread_count: 0});
  });

  test(`${database}: an admin adds, promotes and removes; the same again changes nothing`, async t => {
    const api = await startApi(t, database);
    const room = `/api/rooms/${await testRoom(api.chat)}/`;
    const put = (user: string, body: object) => ask(api, ann, 'PUT', `${room}members/${user}/`, body);
    t.is((await put('lee', {role: 'owner'})).status, 400);
    t.is((await put('lee', {role: 'member', user: 'x'})).status, 400);
    t.is((await put('lee', {})).status, 201);
    const again = await put('lee', {});
    t.is(again.status, 200);
    const promoted = await put('lee', {role: 'admin'});
    t.is(promoted.status, 200);
    t.is(promoted.at('room.version'), Number(again.at('room.version')) + 1);
    t.is((await put('lee', {})).at('room.version'), promoted.at('room.version'));
    t.is((await ask(api, apiToken('lee'), 'GET', room)).at('role'), 'admin');
    t.is((await ask(api, ann, 'DELETE', `${room}members/lee/`)).status, 204);
    const absent = await ask(api, ann, 'DELETE', `${room}members/lee/`);
    t.is(absent.status, 404);
    t.is(absent.at('code'), 'member_not_found');
    t.is((await ask(api, mia, 'DELETE', `${room}members/mia/`)).status, 204, 'a member may remove themselves');
  });

  test(`${database}: user ids of every allowed character stand in a path`, async t => {
    const api = await startApi(t, database);
    const room = `/api/rooms/${await testRoom(api.chat)}/`;
    for (const id of ['auth0|abc', 'urn:uuid:1-2', 'a+b@c.d', 'x=~_', '42', `a${'b'.repeat(199)}`]) {
      const put = await ask(api, service, 'PUT', `${room}members/${encodeURIComponent(id)}/`, {});
      t.is(put.status, 201, put.text);
      t.is(put.at('user.id'), id);
      t.is((await ask(api, apiToken(id), 'GET', room)).status, 200, id);
    }
  });

  test(`${database}: many members are added and removed as one version`, async t => {
    const api = await startApi(t, database);
    const room = `/api/rooms/${await testRoom(api.chat)}/`;
    const change = (body: object) => ask(api, service, 'POST', `${room}members/`, body);
    const {body} = await ask(api, service, 'GET', room);
    t.is((await change({add: ['x'], remove: ['x']})).status, 400);
    t.is((await change({})).status, 400);
    t.is((await ask(api, service, 'GET', room)).at('version'), body['version']);
    const changed = await change({add: ['x', 'y', 'y', 'ann'], remove: ['mia', 'nobody']});
    t.is(changed.status, 200);
    t.is(changed.at('added'), 2);
    t.is(changed.at('removed'), 1);
    t.is(changed.at('room.version'), Number(body['version']) + 1);
    t.is(changed.at('room.member_count'), 3);
    t.is((await change({add: ['x']})).at('room.version'), changed.at('room.version'), 'nothing to do');
  });

  test(`${database}: 10,000 members are one request, 10,001 are refused`, async t => {
    const api = await startApi(t, database);
    const room = `/api/rooms/${await testRoom(api.chat)}/`;
    const add = Array.from({length: 10_001}, (_, i) => `user-${i}-${'x'.repeat(40)}`);
    const refused = await ask(api, service, 'POST', `${room}members/`, {add});
    t.is(refused.status, 400);
    t.is(refused.at('code'), 'too_many');
    const changed = await ask(api, service, 'POST', `${room}members/`, {add: add.slice(1)});
    t.is(changed.status, 200, changed.text);
    t.is(changed.at('added'), 10_000);
    const page = await ask(api, mia, 'GET', `${room}members/?limit=1`);
    t.is(page.at('count'), 10_002);
  });

  test(`${database}: two bulk changes at once that make the same users in opposite order both succeed`, async t => {
    const api = await startApi(t, database);
    const users = Array.from({length: 5_000}, (_, i) => `user${i}`);
    const rooms = await Promise.all([0, 1, 2, 3].map(() => testRoom(api.chat)));
    const answers = await Promise.all(
      rooms.map((room, i) =>
        ask(api, service, 'POST', `/api/rooms/${room}/members/`, {add: i % 2 ? users : users.toReversed()}),
      ),
    );
    for (const answer of answers) t.is(answer.status, 200, answer.text);
  });

  test(`${database}: members are listed by id, with a search`, async t => {
    const api = await startApi(t, database);
    const room = `/api/rooms/${await testRoom(api.chat, {members: ['mia', 'mike', 'zoe']})}/`;
    const listed = async (query: string) =>
      ((await ask(api, mia, 'GET', `${room}members/?${query}`)).body['results'] as {user: {id: string}}[]).map(
        each => each.user.id,
      );
    t.deepEqual(await listed(''), ['ann', 'mia', 'mike', 'zoe']);
    t.deepEqual(await listed('limit=2&page=2'), ['mike', 'zoe']);
    t.deepEqual(await listed('q=mi'), ['mia', 'mike']);
  });
}
