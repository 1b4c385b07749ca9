import test from 'ava';
import {apiToken, serviceToken} from '../helpers/chat.ts';
import {databases} from '../helpers/database.ts';
import {ask, startApi, testRoom, type Answer, type Api} from '../helpers/http.ts';

const mia = apiToken('mia');
const ann = apiToken('ann');

async function postMany(api: Api, path: string, count: number): Promise<number[]> {
  const ids: number[] = [];
  for (let i = 1; i <= count; i++) ids.push(Number((await ask(api, mia, 'POST', path, {content: `m${i}`})).at('id')));
  return ids;
}

function seqs({body}: Answer): number[] {
  return (body['results'] as {seq: number}[]).map(message => message.seq);
}

for (const database of databases) {
  test(`${database}: an archived room takes no message, and history stays to be read`, async t => {
    const api = await startApi(t, database);
    const room = `/api/rooms/${await testRoom(api.chat)}/`;
    await postMany(api, `${room}messages/`, 1);
    await ask(api, ann, 'PATCH', room, {archived: true});
    const refused = await ask(api, mia, 'POST', `${room}messages/`, {content: 'late'});
    t.is(refused.status, 403);
    t.is(refused.at('code'), 'room_archived');
    t.deepEqual(seqs(await ask(api, mia, 'GET', `${room}messages/`)), [1]);
    await ask(api, ann, 'PATCH', room, {archived: false});
    t.is((await ask(api, mia, 'POST', `${room}messages/`, {content: 'again'})).status, 201);
  });

  test(`${database}: E40: a client id with other content is refused, and repeated it gives the first answer`, async t => {
    const api = await startApi(t, database);
    const path = `/api/rooms/${await testRoom(api.chat)}/messages/`;
    const first = await ask(api, mia, 'POST', path, {content: 'hello', client_id: 'c1'});
    t.is(first.status, 201);
    t.is(first.headers.get('idempotency-replayed'), null);
    const other = await ask(api, mia, 'POST', path, {content: 'other', client_id: 'c1'});
    t.is(other.status, 409);
    t.is(other.at('code'), 'client_id_reused');
    const again = await ask(api, mia, 'POST', path, {content: 'hello', client_id: 'c1'});
    t.is(again.status, 200);
    t.is(again.text, first.text);
    t.is(again.headers.get('idempotency-replayed'), 'true');
  });

  test(`${database}: T38: the Idempotency-Key header is the client id, and each author has ids of their own`, async t => {
    const api = await startApi(t, database);
    const path = `/api/rooms/${await testRoom(api.chat)}/messages/`;
    const key = {'idempotency-key': 'k1'};
    const first = await ask(api, mia, 'POST', path, {content: 'hello'}, key);
    t.is(first.status, 201);
    t.is(first.at('client_id'), 'k1');
    const again = await ask(api, mia, 'POST', path, {content: 'hello', client_id: 'k1'});
    t.is(again.status, 200);
    t.is(again.text, first.text);
    t.is((await ask(api, mia, 'POST', path, {content: 'hello', client_id: 'k1'}, key)).status, 200, 'both, agreeing');
    t.is((await ask(api, mia, 'POST', path, {content: 'hello', client_id: 'k2'}, key)).status, 400, 'both, differing');
    t.is((await ask(api, ann, 'POST', path, {content: 'mine'}, key)).status, 201);
    t.is((await ask(api, serviceToken(), 'POST', path, {content: 'system'}, key)).status, 201);
  });

  test(`${database}: E40: twenty posts of one client id at once make one message`, async t => {
    const api = await startApi(t, database);
    const path = `/api/rooms/${await testRoom(api.chat)}/messages/`;
    const answers = await Promise.all(
      Array.from({length: 20}, () => ask(api, mia, 'POST', path, {content: 'once', client_id: 'same'})),
    );
    t.is(answers.filter(each => each.status === 201).length, 1);
    t.is(answers.filter(each => each.status === 200).length, 19);
    t.is(new Set(answers.map(each => each.text)).size, 1);
    t.is((await ask(api, mia, 'GET', path)).at('count'), 1);
  });

  test(`${database}: a post bumps the room, and a refused one changes nothing`, async t => {
    const api = await startApi(t, database);
    const room = `/api/rooms/${await testRoom(api.chat)}/`;
    const before = await ask(api, serviceToken(), 'GET', room);
    t.is((await ask(api, apiToken('sam'), 'POST', `${room}messages/`, {content: 'no'})).status, 404);
    t.is((await ask(api, mia, 'POST', `${room}messages/`, {content: ' '})).status, 400);
    t.is((await ask(api, serviceToken(), 'GET', room)).text, before.text);
    const posted = await ask(api, mia, 'POST', `${room}messages/`, {content: ' hello '});
    t.is(posted.at('content'), 'hello');
    t.is(posted.at('room.version'), Number(before.at('version')) + 1);
    const after = await ask(api, mia, 'GET', room);
    t.is(after.at('version'), posted.at('room.version'));
    t.is(after.at('bumped_at'), posted.at('created_at'));
    t.is(after.at('last_message.id'), posted.at('id'));
    t.is(after.at('unread_count'), 0, 'one’s own post is read');
    t.is((await ask(api, ann, 'GET', room)).at('unread_count'), 1);
  });

  test(`${database}: the service posts as a member or as the system, and not as a stranger`, async t => {
    const api = await startApi(t, database);
    const path = `/api/rooms/${await testRoom(api.chat)}/messages/`;
    const stranger = await ask(api, serviceToken(), 'POST', path, {content: 'hi', user_id: 'sam'});
    t.is(stranger.status, 409);
    t.is(stranger.at('code'), 'not_a_member');
    t.is((await ask(api, mia, 'POST', path, {content: 'hi', user_id: 'ann'})).status, 403);
    t.is((await ask(api, serviceToken(), 'POST', path, {content: 'hi', user_id: 'mia'})).at('user.id'), 'mia');
    t.is((await ask(api, serviceToken(), 'POST', path, {content: 'hi'})).at('user'), null);
    t.is((await ask(api, serviceToken(), 'GET', '/api/users/primary/')).status, 404, 'it has no row of its own');
  });

  test(`${database}: history goes by page, and its links lead to the neighbours on the public URL`, async t => {
    const api = await startApi(t, database);
    const path = `/api/rooms/${await testRoom(api.chat)}/messages/`;
    await postMany(api, path, 5);
    const first = await ask(api, mia, 'GET', `${path}?limit=2`);
    t.deepEqual(seqs(first), [5, 4]);
    t.is(first.at('count'), 5);
    t.is(first.at('previous'), null);
    t.is(first.at('next'), `https://chat.example${path}?limit=2&page=2`);
    const second = await ask(api, mia, 'GET', `${path}?limit=2&page=2`);
    t.deepEqual(seqs(second), [3, 2]);
    t.is(second.at('previous'), `https://chat.example${path}?limit=2&page=1`);
    const third = await ask(api, mia, 'GET', `${path}?limit=2&page=3`);
    t.deepEqual(seqs(third), [1]);
    t.is(third.at('next'), null);
    t.deepEqual(seqs(await ask(api, mia, 'GET', `${path}?page=1000000000`)), []);
  });

  test(`${database}: history goes before, after and around a message`, async t => {
    const api = await startApi(t, database);
    const path = `/api/rooms/${await testRoom(api.chat)}/messages/`;
    const ids = await postMany(api, path, 7);
    const other = `/api/rooms/${await testRoom(api.chat)}/messages/`;
    const [foreign] = await postMany(api, other, 1);
    for (const cursor of ['before=999999', `before=${foreign}`, `after=${foreign}`, `around=${foreign}`]) {
      const refused = await ask(api, mia, 'GET', `${path}?${cursor}`);
      t.is(refused.status, 400, cursor);
      t.is(refused.at('code'), 'invalid_cursor');
    }
    t.is((await ask(api, mia, 'GET', `${path}?before=${ids[3]}&after=${ids[1]}`)).status, 400);
    t.is((await ask(api, mia, 'GET', `${path}?before=${ids[3]}&page=1`)).status, 400);
    const before = await ask(api, mia, 'GET', `${path}?before=${ids[3]}&limit=2`);
    t.deepEqual(seqs(before), [3, 2]);
    t.is(before.at('next'), `https://chat.example${path}?limit=2&before=${ids[1]}`);
    t.is(before.at('previous'), `https://chat.example${path}?limit=2&after=${ids[2]}`);
    t.deepEqual(seqs(await ask(api, mia, 'GET', `${path}?after=${ids[3]}&limit=2`)), [6, 5]);
    t.deepEqual(seqs(await ask(api, mia, 'GET', `${path}?around=${ids[3]}&limit=3`)), [5, 4, 3]);
    t.deepEqual(seqs(await ask(api, mia, 'GET', `${path}?around=${ids[3]}&limit=1`)), [4]);
    t.deepEqual(seqs(await ask(api, mia, 'GET', `${path}?before=${ids[0]}`)), []);
  });

  test(`${database}: following next from the newest reaches every message once`, async t => {
    const api = await startApi(t, database);
    const path = `/api/rooms/${await testRoom(api.chat)}/messages/`;
    const ids = await postMany(api, path, 7);
    const seen: number[] = [];
    let link: unknown = `https://chat.example${path}?limit=3&around=${ids[6]}`;
    for (let turns = 0; typeof link === 'string' && turns < 10; turns++) {
      const answer = await ask(api, mia, 'GET', link.replace('https://chat.example', ''));
      seen.push(...seqs(answer));
      link = answer.at('next');
    }
    t.deepEqual(seen, [7, 6, 5, 4, 3, 2, 1]);
  });

  test(`${database}: a deleted message leaves a tombstone, and deleting it again changes nothing`, async t => {
    const api = await startApi(t, database);
    const room = `/api/rooms/${await testRoom(api.chat)}/`;
    const [id] = await postMany(api, `${room}messages/`, 1);
    const path = `${room}messages/${id}/`;
    const byAnn = await ask(api, ann, 'POST', `${room}messages/`, {content: 'by ann'});
    t.is((await ask(api, mia, 'DELETE', `${room}messages/${String(byAnn.at('id'))}/`)).status, 403);
    t.is((await ask(api, mia, 'DELETE', `${room}messages/999999/`)).status, 404);
    const answer = await ask(api, mia, 'DELETE', path);
    t.is(answer.status, 204);
    t.is(answer.text, '');
    const tombstone = await ask(api, mia, 'GET', path);
    t.is(tombstone.at('content'), '');
    t.not(tombstone.at('deleted_at'), null);
    const {text} = await ask(api, mia, 'GET', room);
    t.is((await ask(api, mia, 'DELETE', path)).status, 204);
    t.is((await ask(api, mia, 'GET', room)).text, text);
  });
}
