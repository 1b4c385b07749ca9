// What an operator sees of delivery, and repairs: against a running server with the embedded endpoint.
import test, {type ExecutionContext} from 'ava';
import {loadConfig} from '../../src/config.ts';
import {openStreams} from '../../src/delivery/streams.ts';
import {openDatabase} from '../../src/open.ts';
import {apiToken} from '../helpers/chat.ts';
import {bareCli, startProcess, testCli} from '../helpers/cli.ts';
import {databases, type Database} from '../helpers/database.ts';
import {listen, request, roomOf, startTestServer} from '../helpers/server.ts';
import {until} from '../helpers/until.ts';
import {startBatchServer, batchServerKey} from '../helpers/batch-server.ts';
import {deleteDelivered, listWaiting, outboxDepth} from '../../src/db/outbox.ts';

const key = 'test-embedded-api-key';

/** A server, and a command line on its database. */
async function serverAndCli(t: ExecutionContext, database: Database, env: Record<string, string> = {}) {
  const cli = await bareCli(t, database);
  const DATABASE_URL = cli.env['DATABASE_URL'] ?? '';
  const server = await startTestServer(t, database, {CENTRIFUGO_API_KEY: key, ...env, DATABASE_URL});
  Object.assign(cli.env, {CENTRIFUGO_API_KEY: key, ...env, CHATCTL_API_URL: server.apiUrl});
  if (server.realtimeUrl) cli.env['CHATCTL_REALTIME_URL'] = server.realtimeUrl;
  return {server, cli};
}

async function post(server: {apiUrl: string}, room: number, content: string): Promise<number> {
  const {body} = await request(server, apiToken('alice'), 'POST', `/api/rooms/${room}/messages/`, {content});
  return Number(body['id']);
}

function drained(server: Awaited<ReturnType<typeof startTestServer>>) {
  return until(async () => (await outboxDepth(server.chat.db)).waiting === 0, 'an empty outbox');
}

for (const database of databases) {
  test(`${database}: an event refused for good is seen, and delivered by outbox retry after the repair`, async t => {
    const broker = await startBatchServer(t);
    broker.behave({fault: () => ({error: {code: 102, message: 'unknown channel'}})});
    const {server, cli} = await serverAndCli(t, database, {
      CENTRIFUGO_API_URL: broker.url,
      CENTRIFUGO_API_KEY: batchServerKey,
    });
    await roomOf(server, ['alice']);
    await until(async () => (await outboxDepth(server.chat.db)).parked === 1, 'the parked event');

    t.is(json(await cli(['outbox', 'status', '--json'])).parked, 1);
    const {rows} = json(await cli(['outbox', 'list', '--parked', '--json']));
    t.is(rows[0].error, 'error 102 unknown channel on personal:alice');
    const doctor = await cli(['doctor', '--only', 'delivery', '--json']);
    t.is(doctor.code, 8);
    t.regex(json(doctor).checks[0].message, /1 event\(s\) are parked/);
    t.is((await cli(['outbox', 'retry', '4711'])).code, 3);

    broker.behave({});
    t.is((await cli(['outbox', 'retry', String(rows[0].id)])).code, 0);
    await until(() => broker.taken.length === 1, 'the delivery');
    t.is((await cli(['doctor', '--only', 'delivery'])).code, 0);
  });

  test(`${database}: an event is given up only by its name`, async t => {
    const broker = await startBatchServer(t);
    broker.behave({fault: () => ({error: {code: 107, message: 'bad request'}})});
    const {server, cli} = await serverAndCli(t, database, {
      CENTRIFUGO_API_URL: broker.url,
      CENTRIFUGO_API_KEY: batchServerKey,
    });
    await roomOf(server, ['alice']);
    await until(async () => (await outboxDepth(server.chat.db)).parked === 1, 'the parked event');
    t.is((await cli(['outbox', 'drop', '--all', '--confirm', 'something'])).code, 2);
    t.is((await outboxDepth(server.chat.db)).parked, 1);
    t.is(json(await cli(['outbox', 'drop', '--all', '--confirm', 'outbox', '--json'])).dropped, 1);
    t.is((await outboxDepth(server.chat.db)).parked, 0);
  });

  test(`${database}: trace tells when a message was parked, and why`, async t => {
    const broker = await startBatchServer(t);
    const {server, cli} = await serverAndCli(t, database, {
      CENTRIFUGO_API_URL: broker.url,
      CENTRIFUGO_API_KEY: batchServerKey,
    });
    const room = await roomOf(server, ['alice']);
    await drained(server);
    broker.behave({fault: () => ({error: {code: 107, message: 'bad request'}})});
    const message = await post(server, room, 'refused');
    await until(async () => (await outboxDepth(server.chat.db)).parked === 1, 'the parked event');
    const {rows} = json(await cli(['outbox', 'list', '--parked', '--json']));
    const traced = await cli(['trace', String(message), '--json']);
    t.is(traced.code, 8, traced.stderr);
    const [stored, outbox] = json(traced).hops;
    t.is(outbox.state, 'parked');
    t.regex(outbox.detail, /error 107 bad request/);
    t.is(outbox.at, rows[0].parked_at);
    t.is(outbox.ms, Date.parse(outbox.at) - Date.parse(stored.at));
  });

  test(`${database}: outbox status --watch tells look by look what waits and how fast it leaves, until Ctrl-C`, async t => {
    const cli = await testCli(t, database);
    const db = await openDatabase(loadConfig({env: cli.env, cwd: cli.cwd}));
    t.teardown(() => db.close());
    for (const name of ['one', 'two']) {
      await cli(['room', 'create', name, '--member', 'alice']);
      await cli(['message', 'post', name, 'hello']);
    }
    const watch = startProcess(t, cli, ['outbox', 'status', '--watch', '--interval', '20ms', '--json']);
    t.is(JSON.parse(await watch.line('"ready"')).interval_ms, 20);
    const first = JSON.parse(await watch.line('"status"'));
    t.is(first.depth, 4);
    t.is(first.delivered, null);
    t.is(first.rate, null);
    t.deepEqual(
      first.partitions.map((each: {depth: number; rate: null}) => [each.depth, each.rate]),
      [
        [2, null],
        [2, null],
      ],
    );
    const [oldest] = await listWaiting(db, 0, 4);
    await deleteDelivered(db, [oldest?.id ?? 0]);
    const less = JSON.parse(await watch.line('"depth":3'));
    t.is(less.delivered, 1);
    t.true(less.rate > 0);
    t.deepEqual(
      less.partitions.map((each: {partition: number; depth: number; rate: number}) => [each.depth, each.rate]),
      less.partitions.map(({partition}: {partition: number}) =>
        partition === oldest?.partition ? [1, less.rate] : [2, 0],
      ),
    );
    watch.child.kill('SIGINT');
    const {code, stdout} = await watch.ended;
    t.is(code, 130);
    const lines = stdout.trim().split('\n');
    t.regex(lines[0] ?? '', /^\{"type":"ready"/);
    t.deepEqual(JSON.parse(lines.at(-1) ?? ''), {
      type: 'end',
      reason: 'signal',
      looks: lines.length - 2,
      exit_code: 130,
    });

    const plain = await cli(['outbox', 'status', '--watch', '--interval', '10ms', '--for', '50ms']);
    t.is(plain.code, 0, plain.stderr);
    t.regex(plain.stdout, /^\d{4}-\d\d-\d\dT\S+\t3\t\d+\t0\t\n(?:\S+\t3\t\d+\t0\t0\n)*$/);
    const seen = await cli(['outbox', 'status', '--watch', '--for', '1ms'], {tty: true});
    t.regex(seen.stdout, /^\d\d:\d\d:\d\d {2}3 wait {2}the oldest for \d+\.\d s {2}0 parked\n$/);
    t.is((await cli(['outbox', 'status', '--watch', '--timeout', '20ms'])).code, 0);
    const late = await cli(['outbox', 'status', '--watch', '--max-lag', '1ms', '--json']);
    t.is(late.code, 8, late.stderr);
    t.regex(late.stdout, /"type":"end","reason":"lag","looks":\d+,"exit_code":8\}\n$/);
    t.is(json(await cli(['outbox', 'status', '--json'])).rate, null);
  });

  test(`${database}: trace follows a message to a member's stream`, async t => {
    const {server, cli} = await serverAndCli(t, database);
    const room = await roomOf(server, ['alice', 'bob']);
    const message = await post(server, room, 'hello');
    t.is((await cli(['trace', '4711'])).code, 3);
    t.is((await cli(['trace', String(message), '--user', 'mallory'])).code, 3);
    await cli(['user', 'upsert', 'mallory']);
    const outsider = await cli(['trace', String(message), '--user', 'mallory', '--json']);
    t.is(outsider.code, 4);
    t.is(outsider.at('error.hint'), `See who is: chatctl member list ${room}`);
    // Who sees all is not told of what they cannot see.
    t.is((await cli(['trace', '4711', '--json'])).at('error.message'), 'There is no message 4711.');
    for (const args of [
      ['room', 'show', '4711'],
      ['message', 'list', 'id:4711'],
      ['room', 'show', 'key:4711'],
    ])
      t.is((await cli([...args, '--json'])).at('error.message'), 'There is no room 4711.');
    const traced = await cli(['trace', String(message), '--user', 'bob', '--wait', '5s', '--json']);
    t.is(traced.code, 0, traced.stderr);
    t.deepEqual(
      json(traced).hops.map((hop: {name: string; state: string}) => [hop.name, hop.state]),
      [
        ['stored', 'ok'],
        ['outbox', 'ok'],
        ['stream', 'ok'],
      ],
    );
    // Nobody keeps when it was delivered, and nothing is made up.
    const {created_at: storedAt} = json(await cli(['message', 'show', String(message), '--json'])).message;
    t.deepEqual(
      json(traced).hops.map((hop: {at: string | null; ms: number | null}) => [hop.at, hop.ms]),
      [
        [storedAt, 0],
        [null, null],
        [null, null],
      ],
    );
    await openStreams(streamUrl(server), key).clear(['personal:bob']);
    const lost = await cli(['trace', String(message), '--user', 'bob', '--json']);
    t.is(lost.code, 8);
    t.is(json(lost).hops.at(-1).state, 'missing');
  });

  test(`${database}: trace tells that no server delivers`, async t => {
    const cli = await testCli(t, database);
    await cli(['room', 'create', 'general', '--member', 'alice']);
    const posted = json(await cli(['message', 'post', 'general', 'hello', '--json']));
    const traced = await cli(['trace', String(posted.message.id), '--json'], {env: {CENTRIFUGO_API_KEY: key}});
    t.is(traced.code, 8, traced.stderr);
    t.is(json(traced).hops.at(-1).state, 'waiting');
    t.is(json(traced).hops.at(-1).at, null);
    t.true(json(traced).hops.at(-1).ms >= 0);
  });

  test(`${database}: trace --wait tells when the message reached a live client of the member`, async t => {
    // The endpoint of another server stands for a Centrifugo, which goes on while no server of this chat runs.
    const broker = await startTestServer(t, 'sqlite', {CENTRIFUGO_API_KEY: key});
    const cli = await testCli(t, database);
    const env = {CENTRIFUGO_API_URL: streamUrl(broker), CENTRIFUGO_API_KEY: key};
    Object.assign(cli.env, env);
    await cli(['room', 'create', 'general', '--member', 'alice', '--member', 'bob']);
    const posted = json(await cli(['message', 'post', 'general', 'hello', '--json']));
    const tracing = cli(['trace', String(posted.message.id), '--user', 'bob', '--wait', '60s', '--json']);
    await until(() => hasSubscriber(streamUrl(broker), 'personal:bob'), 'the client of the trace');
    await startTestServer(t, database, {DATABASE_URL: cli.env['DATABASE_URL'] ?? '', ...env});
    const traced = await tracing;
    t.is(traced.code, 0, traced.stderr);
    const {hops} = json(traced);
    t.deepEqual(
      hops.map((hop: {name: string; state: string}) => [hop.name, hop.state]),
      [
        ['stored', 'ok'],
        ['outbox', 'ok'],
        ['stream', 'ok'],
        ['client', 'ok'],
      ],
    );
    t.is(hops[3].ms, Date.parse(hops[3].at) - Date.parse(hops[0].at));
    t.true(hops[3].ms > 0);
    const again = await cli(['trace', String(posted.message.id), '--user', 'bob', '--wait', '5s', '--json']);
    t.is(again.code, 0);
    t.is(json(again).hops.length, 3, 'what had arrived before is not watched');
  });

  test(`${database}: verify finds every planted drop, repeat and swap, invents none, and repairs to silence`, async t => {
    const {server, cli} = await serverAndCli(t, database);
    const room = await roomOf(server, ['alice', 'bob', 'carol', 'dave']);
    for (let i = 0; i < 93; i++) await post(server, room, `m${i}`);
    await drained(server);
    const clean = await cli(['verify', '--json']);
    t.is(clean.code, 0, clean.stderr);
    t.deepEqual(json(clean), {streams: 4, missing: [], repeated: [], disordered: []});
    t.regex(clean.stderr, /^Holding the database against the streams of /);

    const streams = openStreams(streamUrl(server), key);
    await replay(streams, 'personal:bob', entries => entries.filter((_, i) => i % 3 !== 1));
    await replay(streams, 'personal:carol', entries =>
      entries.flatMap((entry, i) => (i % 4 === 2 ? [entry, entry] : [entry])),
    );
    await replay(streams, 'personal:dave', entries =>
      entries.map((entry, i) => entries[swapped(i, entries.length)] ?? entry),
    );

    const found = await cli(['verify', '--json']);
    t.is(found.code, 8);
    const all = json(found);
    const faults = (name: string, user: string): number[] =>
      all[name].flatMap((each: {user: string; version: number}) => (each.user === user ? [each.version] : []));
    const versions = Array.from({length: 94}, (_, i) => i + 1);
    t.deepEqual(
      faults('missing', 'bob'),
      versions.filter((_, i) => i % 3 === 1),
    );
    t.deepEqual(
      faults('repeated', 'carol'),
      versions.filter((_, i) => i % 4 === 2),
    );
    t.deepEqual(
      faults('disordered', 'dave'),
      versions.filter((_, i) => i % 2 === 0 && i + 1 < versions.length),
    );
    t.is(json(found).missing.length + json(found).repeated.length + json(found).disordered.length, 31 + 23 + 47);

    t.is((await cli(['verify', '--repair'])).code, 2);
    const inStreams = () => Promise.all(['bob', 'carol', 'dave'].map(user => streams.history(`personal:${user}`)));
    const before = await inStreams();
    const rehearsed = await cli(['verify', '--repair', '--dry-run', '--json']);
    t.is(rehearsed.code, 8, rehearsed.stderr);
    const streamsOf = [
      {user: 'bob', published: 31, cleared: false},
      {user: 'carol', published: 0, cleared: true},
      {user: 'dave', published: 0, cleared: true},
    ];
    t.deepEqual(json(rehearsed).repaired, {published: 31, cleared: 2, streams: streamsOf});
    t.is(json(rehearsed).dry_run.events.length, 31);
    t.is(json(rehearsed).dry_run.events[0].channels, 1);
    t.regex(rehearsed.stderr, /Would publish 31 missing event\(s\) to 1 stream\(s\): bob \(31\)\./);
    t.regex(rehearsed.stderr, /Would clear 2 stream\(s\): carol, dave\./);
    t.regex(rehearsed.stderr, /Dry run: nothing was changed/);
    t.deepEqual(await inStreams(), before);
    t.deepEqual(json(await cli(['verify', '--json'])), all);
    t.deepEqual(json(await cli(['audit', 'list', '--action', 'streams.repair', '--json'])).entries, []);

    t.is((await cli(['verify', '--repair', '--yes'])).code, 0);
    const after = await cli(['verify', '--json']);
    t.is(after.code, 0, after.stdout);
  });

  test(`${database}: doctor finds a healthy chat healthy, and names a wrong token secret`, async t => {
    const {server, cli} = await serverAndCli(t, database);
    await roomOf(server, ['alice']);
    await drained(server);
    const healthy = await cli(['doctor', '--json']);
    t.is(healthy.code, 0, healthy.stdout);
    t.deepEqual(
      json(healthy).checks.filter((check: {status: string}) => check.status === 'fail'),
      [],
    );
    const wrong = {CENTRIFUGO_TOKEN_SECRET: 'another-secret-0123456789-0123456789'};
    const ill = await cli(['doctor', '--only', 'tokens', '--json'], {env: wrong});
    t.is(ill.code, 8);
    t.regex(json(ill).checks[0].message, /refuse|3500|invalid token/i);
    const key = await cli(['doctor', '--only', 'broker', '--json'], {env: {CENTRIFUGO_API_KEY: 'wrong'}});
    t.is(key.code, 8);
    t.regex(json(key).checks[0].message, /CENTRIFUGO_API_KEY/);
  });

  test(`${database}: what the command line writes reaches a client of the running server within half a second`, async t => {
    const {server, cli} = await serverAndCli(t, database);
    const room = await roomOf(server, ['alice', 'bob']);
    const bob = await listen(t, server, 'bob');
    const after = async (type: string, ...command: string[]) => {
      t.is((await cli([...command])).code, 0);
      const written = performance.now();
      await until(() => bob.events.some(event => event.type === type), type);
      bob.events.length = 0;
      return performance.now() - written;
    };
    // A machine that is busy with other things may miss it at first.
    const times: number[] = [];
    for (let i = 0; i < 5 && !times.some(each => each < 500); i++) {
      const joined = await after('user_joined', 'member', 'add', `id:${room}`, `carol${i}`);
      times.push(Math.max(joined, await after('message_added', 'message', 'post', `id:${room}`, 'hello')));
    }
    t.true(Math.min(...times) < 500, `${times.join(', ')} ms`);
  });

  test(`${database}: what was written while no server ran is delivered once one does`, async t => {
    const cli = await testCli(t, database);
    await cli(['room', 'create', 'general', '--member', 'alice']);
    t.is((await cli(['message', 'post', 'general', 'nobody listens'])).code, 0);
    const server = await startTestServer(t, database, {
      DATABASE_URL: cli.env['DATABASE_URL'] ?? '',
      CENTRIFUGO_API_KEY: key,
    });
    await drained(server);
    const {entries} = await openStreams(streamUrl(server), key).history('personal:alice');
    t.deepEqual(
      entries.map(({data}) => (data as {type: string}).type),
      ['members_changed', 'message_added'],
    );
  });
}

async function hasSubscriber(url: string, channel: string): Promise<boolean> {
  const headers = {'content-type': 'application/json', 'x-api-key': key};
  const answer = await fetch(`${url}/api/channels`, {method: 'POST', headers, body: '{}'});
  const {result} = (await answer.json()) as {result: {channels: Record<string, {num_clients: number}>}};
  return (result.channels[channel]?.num_clients ?? 0) > 0;
}

function streamUrl(server: {realtimeUrl: string | undefined}): string {
  return `http://${new URL(server.realtimeUrl ?? '').host}`;
}

/** The document on stdout, whatever its shape. */
// eslint-disable-next-line typescript/no-explicit-any
function json({stdout}: {stdout: string}): any {
  return JSON.parse(stdout);
}

/** Swaps each pair of neighbours. */
function swapped(i: number, length: number): number {
  const other = i % 2 === 0 ? i + 1 : i - 1;
  return other < length ? other : i;
}

type Streams = ReturnType<typeof openStreams>;
type Entries = Awaited<ReturnType<Streams['history']>>['entries'];

/** Puts other publications in the place of a channel's. */
async function replay(streams: Streams, channel: string, change: (entries: Entries) => Entries): Promise<void> {
  const {entries} = await streams.history(channel);
  await streams.clear([channel]);
  for (const {data} of change(entries)) await streams.publish(channel, JSON.stringify(data), {});
}
