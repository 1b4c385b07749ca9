// The example service beside a whole server: it signs, publishes its key and answers /auth/verify; a user of it logs in,
// posts, listens, and is deactivated.
import {once} from 'node:events';
import {spawn} from 'node:child_process';
import {createInterface} from 'node:readline';
import {Centrifuge} from 'centrifuge';
import test, {type ExecutionContext} from 'ava';
import {WebSocket} from 'ws';
import {freePort} from '../../scripts/free-port.mjs';
import {databases} from '../helpers/database.ts';
import {request, startTestServer} from '../helpers/server.ts';

/** Runs the example as its README says, and answers its URL. */
async function startExample(t: ExecutionContext, chatUrl: string): Promise<string> {
  const child = spawn(process.execPath, ['examples/primary-service/server.mjs'], {
    env: {PORT: '0', CHAT_URL: chatUrl},
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const [line] = (await once(createInterface({input: child.stdout}), 'line')) as [string];
  return /http:\S+/.exec(line)?.[0] ?? '';
}

for (const database of databases) {
  test(`${database}: a user of the example service logs in, posts, and is deactivated`, async t => {
    const port = await freePort();
    const primary = await startExample(t, `http://127.0.0.1:${port}`);
    const server = await startTestServer(t, database, {
      PORT: String(port),
      JWT_SECRET: '',
      JWT_JWKS_URL: `${primary}/.well-known/jwks.json`,
      JWT_ALGORITHMS: 'EdDSA',
      AUTH_VERIFY_URL: `${primary}/auth/verify`,
    });
    const post = async (path: string, body: object) => {
      const answer = await fetch(`${primary}${path}`, {method: 'POST', body: JSON.stringify(body)});
      return {status: answer.status, body: (await answer.json()) as Record<string, unknown>};
    };
    const logIn = async (id: string) =>
      String((await post('/login', {id, name: 'Alice', password: 'demo'})).body['token']);

    t.is((await post('/login', {id: 'alice', password: 'wrong'})).status, 401);
    const [alice, bob] = [await logIn('alice'), await logIn('bob')];
    const room = await post('/rooms', {key: 'lobby', name: 'Lobby', members: ['alice', 'bob'], password: 'demo'});
    t.is(room.status, 201);
    const path = `/api/rooms/${Number(room.body['id'])}/messages/`;
    const posted = await request(server, alice, 'POST', path, {content: 'hello'});
    t.is(posted.status, 201);
    t.deepEqual(posted.body['user'] as unknown, {id: 'alice', username: 'Alice'});

    const getToken = async () => String((await request(server, alice, 'GET', '/api/token/connection/')).body['token']);
    const client = new Centrifuge(server.realtimeUrl ?? '', {websocket: WebSocket, getToken});
    t.teardown(() => client.disconnect());
    client.connect();
    await client.ready(10_000);
    const end = new Promise<number>(resolve => {
      client.once('disconnected', ({code}) => resolve(code));
    });
    t.deepEqual(await post('/deactivate', {id: 'alice', password: 'demo'}), {status: 200, body: {chat: 204}});
    t.is(await end, 4_500);
    const refused = await request(server, alice, 'GET', path);
    t.is(refused.status, 401);
    t.like(refused.body, {code: 'user_deactivated'});
    t.is((await post('/login', {id: 'alice', password: 'demo'})).status, 403);
    t.is((await request(server, bob, 'GET', path)).status, 200);
  });
}
