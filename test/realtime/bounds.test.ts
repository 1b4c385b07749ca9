// T39: a server's settings bound who connects to its embedded endpoint.
import test from 'ava';
import {apiToken} from '../helpers/chat.ts';
import {rawClient, type RawClient} from '../helpers/realtime.ts';
import {request, startTestServer} from '../helpers/server.ts';

test('a user has so many connections at once and not one more, all together have theirs, and those that are here stay', async t => {
  const server = await startTestServer(t, 'sqlite', {
    REALTIME_MAX_USER_CONNECTIONS: '1',
    REALTIME_MAX_CONNECTIONS: '3',
  });
  const backend = {url: server.realtimeUrl ?? ''};
  const connect = async (user: string): Promise<RawClient> => {
    const {body} = await request(server, apiToken(user), 'GET', '/api/token/connection/');
    const client = await rawClient(t, backend);
    client.send({id: 1, connect: {token: String(body['token'])}});
    return client;
  };
  const alice = await connect('alice');
  t.truthy((await alice.next())['connect']);
  t.deepEqual(await (await connect('alice')).closed, {code: 3504, reason: 'connection limit'});
  for (const user of ['bob', 'carol']) t.truthy((await (await connect(user)).next())['connect']);
  await t.throwsAsync(connect('dave'), {message: 'Unexpected server response: 503'});
  alice.send({id: 2, history: {channel: 'personal:alice'}});
  t.truthy(await alice.next());
});
