// A user who is deactivated is disconnected, whichever door it happens at and whatever happens meanwhile.
import test, {type ExecutionContext} from 'ava';
import {State} from 'centrifuge';
import {centrifugoConfig} from '../../src/core/centrifugo-config.ts';
import {deactivateUser, upsertUser} from '../../src/core/users.ts';
import {outboxDepth} from '../../src/db/outbox.ts';
import type {OpenChat} from '../../src/open.ts';
import {startBatchServer} from '../helpers/batch-server.ts';
import {centrifugoProgram, startCentrifugo} from '../helpers/centrifugo.ts';
import {apiToken, openTestChat, operator, serviceToken, testSecrets, testUser, userId} from '../helpers/chat.ts';
import {testCli} from '../helpers/cli.ts';
import {databases} from '../helpers/database.ts';
import {rawClient} from '../helpers/realtime.ts';
import {startTestRelay} from '../helpers/relay.ts';
import {listen, request, roomOf, startTestServer, type Listener} from '../helpers/server.ts';
import {until} from '../helpers/until.ts';

const notice = {code: 4_500, reason: 'user deactivated'};

/** The code of the disconnect that ends this client for good. */
function endOf({client}: Listener): Promise<number> {
  return new Promise(resolve => {
    client.once('disconnected', ({code}) => resolve(code));
  });
}

function drained(chat: OpenChat) {
  return until(async () => (await outboxDepth(chat.db)).waiting === 0, 'an empty outbox');
}

async function mustEndAtRest(t: ExecutionContext, server: Parameters<typeof listen>[1]): Promise<void> {
  const room = await roomOf(server, ['alice', 'bob']);
  const [alice, second, bob] = [
    await listen(t, server, 'alice'),
    await listen(t, server, 'alice'),
    await listen(t, server, 'bob'),
  ];
  const ends = Promise.all([endOf(alice), endOf(second)]);
  t.is((await request(server, serviceToken(), 'DELETE', '/api/users/alice/')).status, 204);
  t.deepEqual(await ends, [4_500, 4_500]);
  t.is((await request(server, apiToken('alice'), 'GET', '/api/token/connection/')).status, 401);
  await request(server, apiToken('bob'), 'POST', `/api/rooms/${room}/messages/`, {content: 'hello'});
  await until(() => bob.events.some(each => each.type === 'message_added'), 'the others go on');
  t.is(alice.client.state, State.Disconnected);
}

for (const database of databases) {
  test(`${database}: deactivated over REST, both connections end and the client does not come back`, async t => {
    await mustEndAtRest(t, await startTestServer(t, database));
  });

  test(`${database}: a token from just before does not let a deactivated user back in`, async t => {
    const server = await startTestServer(t, database);
    const tokens = [];
    for (const user of ['alice', 'bob']) {
      const {body} = await request(server, apiToken(user), 'GET', '/api/token/connection/');
      tokens.push(String(body['token']));
    }
    const end = endOf(await listen(t, server, 'alice'));
    t.is((await request(server, serviceToken(), 'DELETE', '/api/users/alice/')).status, 204);
    t.is(await end, 4_500);
    const [ofAlice, ofBob] = await Promise.all(
      tokens.map(async token => {
        const client = await rawClient(t, {url: server.realtimeUrl ?? ''});
        client.send({id: 1, connect: {token}});
        return client;
      }),
    );
    t.deepEqual(await ofAlice?.closed, notice);
    t.truthy((await ofBob?.next())?.['connect']);
  });

  test(`${database}: deactivated at the command line, beside a server that runs`, async t => {
    const cli = await testCli(t, database);
    const server = await startTestServer(t, database, {DATABASE_URL: cli.env['DATABASE_URL'] ?? ''});
    await roomOf(server, ['alice']);
    const end = endOf(await listen(t, server, 'alice'));
    t.is((await cli(['user', 'deactivate', 'alice', '--yes'])).code, 0);
    t.is(await end, 4_500);
  });

  test(`${database}: a rehearsal at the command line ends nothing`, async t => {
    const cli = await testCli(t, database);
    const chat = await openTestChat(t, database, {DATABASE_URL: cli.env['DATABASE_URL'] ?? ''});
    await testUser(chat, 'alice');
    t.is((await cli(['user', 'deactivate', 'alice', '--yes', '--dry-run'])).code, 0);
    t.is((await outboxDepth(chat.db)).waiting, 0);
  });

  test(`${database}: it waits for a relay, and for a broker that is away, and is shown meanwhile`, async t => {
    const cli = await testCli(t, database);
    const chat = await openTestChat(t, database, {DATABASE_URL: cli.env['DATABASE_URL'] ?? ''});
    await testUser(chat, 'alice');
    await deactivateUser(chat, operator, userId('alice'));
    const listed = await cli(['outbox', 'list', '--json']);
    t.like(listed.at('rows.0'), {type: 'user_deactivated', room: null});
    const server = await startBatchServer(t);
    server.behave({status: 503});
    const relay = startTestRelay(t, chat, server.broker);
    await until(() => relay.state().unreachable, 'the relay to notice');
    t.is((await outboxDepth(chat.db)).waiting, 1);
    server.behave({});
    await drained(chat);
    t.deepEqual(server.ended, [{user: 'alice', disconnect: notice}]);
  });

  test(`${database}: who is active again by then stays connected`, async t => {
    const chat = await openTestChat(t, database);
    for (const id of ['alice', 'bob']) {
      await testUser(chat, id);
      await deactivateUser(chat, operator, userId(id));
    }
    await upsertUser(chat, operator, userId('alice'), 'Alice');
    const server = await startBatchServer(t);
    startTestRelay(t, chat, server.broker);
    await drained(chat);
    t.deepEqual(
      server.ended.map(({user}) => user),
      ['bob'],
    );
  });

  test(`${database}: sixty at once are a few requests, and no room waits for them`, async t => {
    const chat = await openTestChat(t, database);
    const ids = Array.from({length: 60}, (_, i) => `user-${i}`);
    for (const id of ids) await testUser(chat, id);
    for (const id of ids) await deactivateUser(chat, operator, userId(id));
    const server = await startBatchServer(t);
    startTestRelay(t, chat, server.broker);
    await drained(chat);
    t.deepEqual(server.ended.map(({user}) => user).toSorted(), ids.toSorted());
    t.true(server.requests() <= 5, `${server.requests()} requests`);
  });

  const withCentrifugo = centrifugoProgram === undefined ? test.skip : test;
  withCentrifugo(`${database}: the same through a real Centrifugo`, async t => {
    const apiKey = 'test-centrifugo-api-key';
    const centrifugo = await startCentrifugo(t, centrifugoConfig({port: 8_000, allowedOrigins: []}), {
      CENTRIFUGO_CLIENT_TOKEN_HMAC_SECRET_KEY: testSecrets.CENTRIFUGO_TOKEN_SECRET,
      CENTRIFUGO_HTTP_API_KEY: apiKey,
    });
    const server = await startTestServer(t, database, {CENTRIFUGO_API_URL: centrifugo.url, CENTRIFUGO_API_KEY: apiKey});
    await mustEndAtRest(t, {...server, realtimeUrl: centrifugo.realtimeUrl});
  });
}
