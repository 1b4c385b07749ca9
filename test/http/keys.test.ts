// T7: the keys of every object, in the contract's order.
import test from 'ava';
import {apiToken, serviceToken} from '../helpers/chat.ts';
import {ask, keysOf, startApi, testRoom} from '../helpers/http.ts';

const user = (parent: string) => [parent, `${parent}.id`, `${parent}.username`];
const lastMessage = [
  'last_message',
  'last_message.id',
  'last_message.content',
  ...user('last_message.user'),
  'last_message.created_at',
];
const words = (text: string) => text.split(' ');
const room = [
  ...words('id name version bumped_at member_count'),
  ...lastMessage,
  ...words('key visibility created_at archived_at'),
];
const ownRoom = [...room, 'role', 'last_read_seq', 'unread_count'];
const message = [
  ...words('id content'),
  ...user('user'),
  ...words('room room.id room.version room.bumped_at created_at seq client_id deleted_at'),
];
const membership = ['room', ...room.map(key => `room.${key}`), ...user('user')];
const page = ['count', 'next', 'previous', 'results'];
const mia = apiToken('mia');

test('a message', async t => {
  const api = await startApi(t, 'sqlite');
  const path = `/api/rooms/${await testRoom(api.chat)}/messages/`;
  const posted = await ask(api, mia, 'POST', path, {content: 'hello'});
  t.deepEqual(keysOf(posted.body), message);
  t.deepEqual(keysOf((await ask(api, mia, 'GET', `${path}${String(posted.at('id'))}/`)).body), message);
  const listed = await ask(api, mia, 'GET', path);
  t.deepEqual(keysOf(listed.body), page);
  t.deepEqual(keysOf(listed.at('results.0')), message);
});

test('a room: as a member has it, as the service has it, and as a search finds it', async t => {
  const api = await startApi(t, 'sqlite');
  const id = await testRoom(api.chat, {key: 'k'});
  await ask(api, mia, 'POST', `/api/rooms/${id}/messages/`, {content: 'hello'});
  for (const path of [`/api/rooms/${id}/`, '/api/rooms/by-key/k/']) {
    t.deepEqual(keysOf((await ask(api, mia, 'GET', path)).body), ownRoom);
    t.deepEqual(keysOf((await ask(api, serviceToken(), 'GET', path)).body), room);
  }
  const own = await ask(api, mia, 'GET', '/api/rooms/');
  t.deepEqual(keysOf(own.body), page);
  t.deepEqual(keysOf(own.at('results.0')), ownRoom);
  t.deepEqual(keysOf((await ask(api, serviceToken(), 'GET', '/api/rooms/?all=true')).at('results.0')), room);
  for (const path of ['/api/search/', '/api/rooms/search/']) {
    t.deepEqual(keysOf((await ask(api, mia, 'GET', path)).at('results.0')), ['id', 'name', 'created_at', 'is_member']);
  }
});

test('a membership, of joining, leaving and adding, has nothing that belongs to one reader', async t => {
  const api = await startApi(t, 'sqlite');
  const id = await testRoom(api.chat);
  await ask(api, mia, 'POST', `/api/rooms/${id}/messages/`, {content: 'hello'});
  t.deepEqual(keysOf((await ask(api, apiToken('sam'), 'POST', `/api/rooms/${id}/join/`)).body), membership);
  t.deepEqual(keysOf((await ask(api, apiToken('sam'), 'POST', `/api/rooms/${id}/leave/`)).body), membership);
  t.deepEqual(keysOf((await ask(api, serviceToken(), 'PUT', `/api/rooms/${id}/members/sam/`, {})).body), membership);
});

test('members, read marker, bulk change and user', async t => {
  const api = await startApi(t, 'sqlite');
  const path = `/api/rooms/${await testRoom(api.chat)}`;
  const listed = await ask(api, mia, 'GET', `${path}/members/`);
  t.deepEqual(keysOf(listed.at('results.0')), [...user('user'), 'role', 'joined_at']);
  const marker = await ask(api, mia, 'POST', `${path}/read/`, {seq: 0});
  t.deepEqual(keysOf(marker.body), ['last_read_seq', 'unread_count']);
  const changed = await ask(api, serviceToken(), 'POST', `${path}/members/`, {add: ['new']});
  t.deepEqual(
    keysOf(changed.body).filter(key => !key.startsWith('room.')),
    ['room', 'added', 'removed'],
  );
  t.deepEqual(keysOf((await ask(api, serviceToken(), 'GET', '/api/users/mia/')).body), ['id', 'username']);
});

test('a problem, with its fields where fields are at fault', async t => {
  const api = await startApi(t, 'sqlite');
  const path = `/api/rooms/${await testRoom(api.chat)}/messages/`;
  const problem = ['type', 'title', 'status', 'detail', 'code', 'request_id'];
  const absent = await ask(api, mia, 'GET', '/api/rooms/999/');
  t.deepEqual(keysOf(absent.body), problem);
  t.is(absent.headers.get('x-request-id'), String(absent.at('request_id')));
  const invalid = await ask(api, mia, 'POST', path, {});
  t.deepEqual(keysOf(invalid.body), problem.toSpliced(5, 0, 'errors'));
  t.deepEqual(invalid.at('errors.0'), {field: 'content', code: 'required', message: 'is required.'});
});
