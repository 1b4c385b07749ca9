import test from 'ava';
import {apiToken, serviceToken} from '../helpers/chat.ts';
import {databases} from '../helpers/database.ts';
import {ask, startApi, statusesOf, testRoom, type Answer} from '../helpers/http.ts';

const mia = apiToken('mia');
const service = serviceToken();

function names({body}: Answer): string[] {
  return (body['results'] as {name: string}[]).map(room => room.name);
}

for (const database of databases) {
  test(`${database}: a room is created with its members, and its key belongs to one room`, async t => {
    const api = await startApi(t, database);
    const room = await ask(api, service, 'POST', '/api/rooms/', {name: ' general ', key: 'k', members: ['mia', 'mia']});
    t.is(room.status, 201);
    t.is(room.at('name'), 'general');
    t.is(room.at('member_count'), 1);
    t.is(room.at('version'), 1, 'its members are one change');
    t.is(room.at('visibility'), 'public');
    const taken = await ask(api, service, 'POST', '/api/rooms/', {name: 'other', key: 'k'});
    t.is(taken.status, 409);
    t.is(taken.at('code'), 'key_taken');
    const empty = await ask(api, service, 'POST', '/api/rooms/', {name: 'general'});
    t.is(empty.status, 201, 'names are not unique');
    t.is(empty.at('version'), 0);
  });

  test(`${database}: with ROOM_CREATION=users a user creates a room and is its admin`, async t => {
    const api = await startApi(t, database, {env: {ROOM_CREATION: 'users'}});
    const room = await ask(api, mia, 'POST', '/api/rooms/', {name: 'mine', members: ['lee', 'mia']});
    t.is(room.status, 201);
    t.is(room.at('member_count'), 2);
    t.is((await ask(api, mia, 'GET', `/api/rooms/${String(room.at('id'))}/`)).at('role'), 'admin');
  });

  test(`${database}: ten creations with one key at once make one room`, async t => {
    const api = await startApi(t, database);
    const answers = await Promise.all(
      Array.from({length: 10}, () => ask(api, service, 'POST', '/api/rooms/', {name: 'one', key: 'k'})),
    );
    t.deepEqual(statusesOf(answers), [201, ...Array.from({length: 9}, () => 409)]);
  });

  test(`${database}: ten rooms that are given one key at once: one has it`, async t => {
    const api = await startApi(t, database);
    const rooms = await Promise.all(Array.from({length: 10}, () => testRoom(api.chat)));
    const answers = await Promise.all(rooms.map(room => ask(api, service, 'PATCH', `/api/rooms/${room}/`, {key: 'k'})));
    t.deepEqual(statusesOf(answers), [200, ...Array.from({length: 9}, () => 409)]);
  });

  test(`${database}: a room is put by key: made, then left alone, then changed, ten at once making one`, async t => {
    const api = await startApi(t, database);
    const put = (body: object) => ask(api, service, 'PUT', '/api/rooms/by-key/order-1/', body);
    t.is((await put({name: 'one', key: 'other'})).status, 400);
    const answers = await Promise.all(Array.from({length: 10}, () => put({name: 'one', members: ['mia']})));
    t.deepEqual(statusesOf(answers), [...Array.from({length: 9}, () => 200), 201]);
    t.is(new Set(answers.map(each => each.text)).size, 1);
    const again = await put({name: 'one', key: 'order-1'});
    t.is(again.text, String(answers[0]?.text));
    const changed = await put({name: 'two', members: ['lee']});
    t.is(changed.status, 200);
    t.is(changed.at('name'), 'two');
    t.is(changed.at('id'), again.at('id'));
    t.is((await ask(api, mia, 'GET', '/api/rooms/by-key/order-1/')).status, 404);
    t.is((await ask(api, apiToken('lee'), 'GET', '/api/rooms/by-key/order-1/')).at('name'), 'two');
  });

  test(`${database}: one’s own rooms are listed newest bump first, and only they`, async t => {
    const api = await startApi(t, database);
    const ids: number[] = [];
    for (const name of ['first', 'second', 'third']) ids.push(await testRoom(api.chat, {name}));
    await testRoom(api.chat, {name: 'foreign', members: []});
    await ask(api, mia, 'POST', `/api/rooms/${ids[0]}/messages/`, {content: 'bump'});
    const page = await ask(api, mia, 'GET', '/api/rooms/?limit=2');
    t.is(page.at('count'), 3);
    t.deepEqual(names(page), ['first', 'third']);
    t.is(page.at('next'), 'https://chat.example/api/rooms/?limit=2&page=2');
    t.deepEqual(names(await ask(api, mia, 'GET', '/api/rooms/?limit=2&page=2')), ['second']);
    t.is((await ask(api, mia, 'GET', '/api/rooms/?q=first')).status, 400);
    t.is((await ask(api, mia, 'GET', '/api/rooms/?all=true')).status, 403);
  });

  test(`${database}: the service lists all rooms by name and state`, async t => {
    const api = await startApi(t, database);
    const old = await testRoom(api.chat, {name: 'Old Orders'});
    await testRoom(api.chat, {name: 'orders', visibility: 'private'});
    await testRoom(api.chat, {name: 'general'});
    await ask(api, service, 'PATCH', `/api/rooms/${old}/`, {archived: true});
    t.is((await ask(api, service, 'GET', '/api/rooms/')).status, 403);
    const all = await ask(api, service, 'GET', '/api/rooms/?all=true&q=&archived=');
    t.is(all.at('count'), 3);
    const found = async (query: string) => names(await ask(api, service, 'GET', `/api/rooms/?all=true&${query}`));
    t.deepEqual(await found('q=ORDER'), ['orders', 'Old Orders']);
    t.deepEqual(await found('q=order&archived=true'), ['Old Orders']);
    t.deepEqual(await found('archived=false'), ['general', 'orders']);
    const first = await ask(api, service, 'GET', '/api/rooms/?all=true&q=order&limit=1');
    t.is(first.at('next'), 'https://chat.example/api/rooms/?limit=1&all=true&q=order&page=2');
    t.is((await ask(api, service, 'GET', '/api/rooms/?all=maybe')).status, 400);
  });

  test(`${database}: E28, T32: a search finds public rooms and own ones, and takes % and _ as they stand`, async t => {
    const api = await startApi(t, database);
    await testRoom(api.chat, {name: 'public 100%', members: []});
    await testRoom(api.chat, {name: 'private mine', visibility: 'private'});
    await testRoom(api.chat, {name: 'private other', visibility: 'private', members: []});
    const found = async (q: string) => names(await ask(api, mia, 'GET', `/api/search/?q=${encodeURIComponent(q)}`));
    t.deepEqual(await found(''), ['private mine', 'public 100%']);
    t.deepEqual(await found('%'), ['public 100%']);
    t.deepEqual(await found('_'), []);
    t.deepEqual(await found('PUBLIC'), ['public 100%']);
    t.deepEqual(await found('other'), []);
    const {text} = await ask(api, mia, 'GET', '/api/rooms/search/?q=mine');
    t.is(text, (await ask(api, mia, 'GET', '/api/search/?q=mine')).text);
    t.true((JSON.parse(text) as {results: {is_member: boolean}[]}).results[0]?.is_member);
  });

  test(`${database}: a patch that changes nothing leaves the version, and one without a field is refused`, async t => {
    const api = await startApi(t, database);
    const path = `/api/rooms/${await testRoom(api.chat)}/`;
    const {text} = await ask(api, service, 'GET', path);
    t.is((await ask(api, service, 'PATCH', path, {})).status, 400);
    t.is((await ask(api, service, 'PATCH', path, {name: 'general', archived: false})).text, text);
    const patched = await ask(api, service, 'PATCH', path, {key: 'k', visibility: 'private'});
    t.is(patched.at('key'), 'k');
    t.is(patched.at('visibility'), 'private');
    t.is((await ask(api, service, 'PATCH', path, {key: null})).at('key'), null);
  });

  test(`${database}: a deleted room is gone for all, and its key is free again`, async t => {
    const api = await startApi(t, database);
    const path = `/api/rooms/${await testRoom(api.chat, {key: 'k'})}/`;
    t.is((await ask(api, service, 'DELETE', '/api/rooms/999999/')).status, 404);
    t.is((await ask(api, service, 'DELETE', path)).status, 204);
    for (const token of [mia, service]) {
      t.is((await ask(api, token, 'GET', path)).status, 404);
      t.is((await ask(api, token, 'GET', `${path}messages/`)).status, 404);
      t.is((await ask(api, token, 'POST', `${path}messages/`, {content: 'x'})).status, 404);
    }
    t.is((await ask(api, service, 'DELETE', path)).status, 404);
    t.is((await ask(api, mia, 'GET', '/api/rooms/')).at('count'), 0);
    t.is((await ask(api, service, 'POST', '/api/rooms/', {name: 'new', key: 'k'})).status, 201);
  });

  test(`${database}: a name that grows when it is folded for the search is stored all the same`, async t => {
    const api = await startApi(t, database);
    // One character that NFKC turns into eighteen.
    const answer = await ask(api, service, 'POST', '/api/rooms/', {name: '\uFDFA'.repeat(100)});
    t.is(answer.status, 201, answer.text);
    t.is((await ask(api, service, 'PATCH', `/api/rooms/${String(answer.at('id'))}/`, {name: '\uFDFA'})).status, 200);
    t.is((await ask(api, service, 'GET', '/api/rooms/?all=true&q=%EF%B7%BA')).at('count'), 1);
  });
}
