// T39: a server's settings bound who connects to its embedded endpoint.
import test from 'ava';
import {apiToken} from '../helpers/chat.ts';
import {rawClient, type RawClient} from '../helpers/realtime.ts';
import {request, startTestServer} from '../helpers/server.ts';
import {until} from '../helpers/until.ts';

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

test('an address has so many connections, told by the proxies that are trusted, and has room again when one closes', async t => {
  const limit = {REALTIME_MAX_ADDRESS_CONNECTIONS: '2'};
  const open = await startTestServer(t, 'sqlite', limit);
  const proxied = await startTestServer(t, 'sqlite', {...limit, TRUST_PROXY: '1'});
  const full = {message: 'Unexpected server response: 429'};
  const from = ({realtimeUrl = ''}: typeof open, ...hops: string[]) =>
    rawClient(t, {url: realtimeUrl}, {headers: {'x-forwarded-for': hops.join(', ')}});
  const first = await from(open, '10.0.0.1');
  await from(open, '10.0.0.2');
  await t.throwsAsync(from(open, '10.0.0.3'), full, 'nobody is believed');
  first.socket.close();
  await until(() => from(open, '10.0.0.3').catch(() => undefined), 'a place');

  for (const forged of ['6.6.6.6', '7.7.7.7']) await from(proxied, forged, '10.0.0.1');
  await t.throwsAsync(from(proxied, '8.8.8.8', '10.0.0.1'), full);
  t.truthy(await from(proxied, '10.0.0.2'));
});
