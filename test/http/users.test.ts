import test from 'ava';
import {serviceToken} from '../helpers/chat.ts';
import {databases} from '../helpers/database.ts';
import {ask, startApi, testRoom} from '../helpers/http.ts';

const service = serviceToken();

for (const database of databases) {
  test(`${database}: a user is made, renamed, listed and deactivated by the service`, async t => {
    const api = await startApi(t, database);
    const path = '/api/users/alice/';
    t.is((await ask(api, service, 'GET', path)).status, 404);
    t.is((await ask(api, service, 'DELETE', path)).status, 404);
    t.is((await ask(api, service, 'PUT', path, {})).status, 400);
    t.is((await ask(api, service, 'PUT', path, {username: 'A', id: 'bob'})).status, 400);
    const made = await ask(api, service, 'PUT', path, {username: ' Alice '});
    t.is(made.status, 200);
    t.deepEqual(made.body, {id: 'alice', username: 'Alice'});
    t.is((await ask(api, service, 'PUT', path, {username: 'Alicia'})).at('username'), 'Alicia');
    t.deepEqual((await ask(api, service, 'GET', path)).body, {id: 'alice', username: 'Alicia'});
    const gone = await ask(api, service, 'DELETE', path);
    t.is(gone.status, 204);
    t.is(gone.text, '');
    t.is((await ask(api, service, 'DELETE', path)).status, 204, 'again');
  });

  test(`${database}: users are listed by id and found by a part of id or name`, async t => {
    const api = await startApi(t, database);
    for (const [id, username] of Object.entries({zoe: 'Zoe', bob: 'Robert 100%', alice: 'Alice'})) {
      await ask(api, service, 'PUT', `/api/users/${id}/`, {username});
    }
    const found = async (query: string) =>
      ((await ask(api, service, 'GET', `/api/users/?${query}`)).body['results'] as {id: string}[]).map(({id}) => id);
    t.deepEqual(await found(''), ['alice', 'bob', 'zoe']);
    t.deepEqual(await found('q=ROB'), ['bob']);
    t.deepEqual(await found('q=%25'), ['bob']);
    t.deepEqual(await found('q=_'), []);
    t.deepEqual(await found('limit=2&page=2'), ['zoe']);
    const page = await ask(api, service, 'GET', '/api/users/?limit=1&page=2');
    t.is(page.at('count'), 3);
    t.is(page.at('next'), 'https://chat.example/api/users/?limit=1&page=3');
    t.is(page.at('previous'), 'https://chat.example/api/users/?limit=1&page=1');
  });

  test(`${database}: a renamed user has the new name in messages and members`, async t => {
    const api = await startApi(t, database);
    const room = `/api/rooms/${await testRoom(api.chat)}/`;
    await ask(api, service, 'POST', `${room}messages/`, {content: 'x', user_id: 'mia'});
    await ask(api, service, 'PUT', '/api/users/mia/', {username: 'Mia'});
    t.is((await ask(api, service, 'GET', `${room}messages/`)).at('results.0.user.username'), 'Mia');
    t.is((await ask(api, service, 'GET', `${room}members/?q=mia`)).at('results.0.user.username'), 'Mia');
    t.is((await ask(api, service, 'GET', room)).at('last_message.user.username'), 'Mia');
  });
}
