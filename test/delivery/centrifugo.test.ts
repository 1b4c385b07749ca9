// Delivery through a real Centrifugo. Without one these tests are skipped, and say so.
import {execFileSync} from 'node:child_process';
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {centrifugoConfig} from '../../src/core/centrifugo-config.ts';
import {outboxDepth} from '../../src/db/outbox.ts';
import {rows} from '../../src/db/rows.ts';
import {centrifugoProgram, startCentrifugo} from '../helpers/centrifugo.ts';
import {apiToken, testSecrets} from '../helpers/chat.ts';
import {databases, temporaryDir} from '../helpers/database.ts';
import {listen, request, roomOf, startTestServer} from '../helpers/server.ts';
import {until} from '../helpers/until.ts';

const apiKey = 'test-centrifugo-api-key';
const secrets = {
  CENTRIFUGO_CLIENT_TOKEN_HMAC_SECRET_KEY: testSecrets.CENTRIFUGO_TOKEN_SECRET,
  CENTRIFUGO_HTTP_API_KEY: apiKey,
};
const config = centrifugoConfig({port: 8_000, allowedOrigins: []});

const withCentrifugo = centrifugoProgram === undefined ? test.skip : test;
if (centrifugoProgram === undefined) {
  test('delivery through a real Centrifugo is NOT tested here', t => {
    t.log('!!! Set CENTRIFUGO_BIN, or put `centrifugo` on PATH, to run these tests.');
    t.pass();
  });
}

withCentrifugo('our configuration passes checkconfig --strict', t => {
  const file = join(temporaryDir(t), 'centrifugo.json');
  writeFileSync(file, JSON.stringify(config));
  t.notThrows(() => execFileSync(centrifugoProgram ?? '', ['checkconfig', '--strict', '-c', file]));
});

for (const database of databases) {
  withCentrifugo(`${database}: a post reaches a client of Centrifugo, and one that was away recovers`, async t => {
    const centrifugo = await startCentrifugo(t, config, secrets);
    const server = await startTestServer(t, database, {CENTRIFUGO_API_URL: centrifugo.url, CENTRIFUGO_API_KEY: apiKey});
    t.is(server.realtimeUrl, undefined);
    const room = await roomOf(server, ['alice', 'bob']);
    const bob = await listen(t, {...server, realtimeUrl: centrifugo.realtimeUrl}, 'bob');
    const post = (content: string) =>
      request(server, apiToken('alice'), 'POST', `/api/rooms/${room}/messages/`, {content});
    const {text} = await post('hello');
    const event = await until(() => bob.events.find(each => each.type === 'message_added'), 'the event');
    t.is(JSON.stringify(event.body), text);
    bob.client.disconnect();
    for (let i = 0; i < 10; i++) await post(`m${i}`);
    await until(async () => (await outboxDepth(server.chat.db)).waiting === 0, 'delivery');
    bob.client.connect();
    await until(() => bob.events.filter(each => each.type === 'message_added').length === 11, 'what was missed');
    t.true(bob.recovered());
    const contents = bob.events.filter(each => each.type === 'message_added').map(each => each.body['content']);
    t.deepEqual(contents, ['hello', ...Array.from({length: 10}, (_, i) => `m${i}`)]);
  });

  withCentrifugo(`${database}: events wait while Centrifugo is away, and come in order when it is back`, async t => {
    const first = await startCentrifugo(t, config, secrets);
    const server = await startTestServer(t, database, {CENTRIFUGO_API_URL: first.url, CENTRIFUGO_API_KEY: apiKey});
    const room = await roomOf(server, ['alice', 'bob']);
    await until(async () => (await outboxDepth(server.chat.db)).waiting === 0, 'delivery');
    await first.stop();
    for (let i = 0; i < 20; i++) {
      const {status} = await request(server, apiToken('alice'), 'POST', `/api/rooms/${room}/messages/`, {
        content: `m${i}`,
      });
      t.is(status, 201);
    }
    t.is((await outboxDepth(server.chat.db)).waiting, 20);
    const second = await startCentrifugo(t, config, secrets, first.port);
    const bob = await listen(t, {...server, realtimeUrl: second.realtimeUrl}, 'bob');
    await until(async () => (await outboxDepth(server.chat.db)).waiting === 0, 'the backlog');
    await request(server, apiToken('alice'), 'POST', `/api/rooms/${room}/messages/`, {content: 'last'});
    await until(() => bob.events.some(each => each.body['content'] === 'last'), 'the last one');
    const seqs = bob.events.filter(each => each.type === 'message_added').map(each => Number(each.body['seq']));
    t.deepEqual(
      seqs,
      seqs.toSorted((a, b) => a - b),
    );
    t.is(seqs.at(-1), 21);
  });

  withCentrifugo(`${database}: without the namespace events are parked with the reason`, async t => {
    const centrifugo = await startCentrifugo(t, {health: {enabled: true}}, secrets);
    const server = await startTestServer(t, database, {CENTRIFUGO_API_URL: centrifugo.url, CENTRIFUGO_API_KEY: apiKey});
    await roomOf(server, ['alice']);
    await until(async () => (await outboxDepth(server.chat.db)).parked === 1, 'the parked event');
    t.deepEqual(await rows(server.chat.db, 'select error from outbox_parked'), [
      {error: 'error 102 unknown channel on personal:alice'},
    ]);
  });
}
