import {existsSync} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {openStreams} from '../../src/delivery/streams.ts';
import {bareCli, cliBesideChat, startProcess, type TestCli} from '../helpers/cli.ts';
import {startProxy} from '../helpers/proxy.ts';
import {startTestServer} from '../helpers/server.ts';
import {until} from '../helpers/until.ts';
import type {RoomJson, TestChat} from '../../src/testing.ts';

/** LISTEN_RUNS=200 proves it at length. */
const runs = Number(process.env['LISTEN_RUNS'] ?? 10);

function lines(text: string): Record<string, unknown>[] {
  return text
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown>);
}

interface Beside {
  cli: TestCli;
  chat: TestChat;
  room: RoomJson;
  /** A shell command that posts as alice. */
  post(content: string): string;
}

async function beside(t: ExecutionContext): Promise<Beside> {
  const {cli, chat} = await cliBesideChat(t);
  cli.env['PATH'] = process.env['PATH'] ?? '';
  const room = await chat.room({members: ['alice', 'bob']});
  // Delivered now, so that nobody who listens from here on sees it.
  await chat.expect('bob', 'members_changed');
  const post = (content: string) =>
    `curl -sf -H 'Authorization: Bearer ${chat.token('alice')}' -H 'Content-Type: application/json' ` +
    `-d '{"content":"${content}"}' ${chat.apiUrl}/api/rooms/${room.id}/messages/`;
  return {cli, chat, room, post};
}

test('listen says why a token is refused, when nobody is there, and what was not understood', async t => {
  const {cli, chat} = await beside(t);
  const other = {CENTRIFUGO_TOKEN_SECRET: 'another-secret-0123456789-0123456789'};
  const refused = await cli(['listen', 'bob', '--timeout', '5s', '--json'], {env: other});
  t.is(refused.code, 6);
  t.is(refused.stdout, '');
  t.is(refused.at('error.code'), 'invalid_token');
  const foreign = {JWT_SECRET: 'another-secret-0123456789-0123456789'};
  t.is((await cli(['listen', 'bob', '--api-url', chat.apiUrl, '--timeout', '5s'], {env: foreign})).code, 6);
  t.is((await cli(['listen', 'bob', '--api-url', chat.apiUrl, '--channel', 'personal:alice'])).code, 6);
  t.is((await cli(['listen', 'bob', '--api-url', chat.apiUrl, '--for', '100ms'])).code, 0);
  const unknown = await cli(['listen', 'bob', '--channel', 'room:1', '--for', '1s', '--json']);
  t.is(unknown.code, 6, unknown.stderr);
  t.is(unknown.at('error.message'), `The real-time endpoint ${chat.realtimeUrl} refused room:1 (102 unknown channel).`);
  t.regex(String(unknown.at('error.hint')), /chatctl centrifugo config/);
  t.is((await cli(['listen', 'bob', '--realtime-url', 'ws://127.0.0.1:1/'])).code, 5);
  t.is((await cli(['listen', 'bob', '--expect', 'type=message_added'])).code, 2);
  t.is((await cli(['listen', 'bob', '--recover', 'nonsense'])).code, 2);
  const misspelt = await cli(['listen', 'bob', '--type', 'message_added,mesage_added', '--json']);
  t.is(misspelt.code, 2);
  t.is(misspelt.at('error.message'), 'There is no event of the type mesage_added.');
  t.regex(String(misspelt.at('error.hint')), /^Did you mean message_added\?\nThe types are /);
  const elsewhere = ['--channel', 'personal:bob', '--type', 'of_somebody_else', '--for', '100ms'];
  t.is((await cli(['listen', 'bob', ...elsewhere])).code, 0);
  for (const wrong of ['5', '0s', '-1s', '1w', 'soon']) t.is((await cli(['listen', 'bob', '--for', wrong])).code, 2);
});

test('listen tells of a user who is not here when nothing came, and goes on without a database', async t => {
  const {cli} = await beside(t);
  const misspelt = await cli(['listen', 'alcie', '--for', '100ms', '--json']);
  t.is(misspelt.code, 0, misspelt.stderr);
  t.is(misspelt.stderr, 'There is no user alcie.\nDid you mean "alice"?\nList users: chatctl user list\n');
  t.deepEqual(
    lines(misspelt.stdout).map(line => line['type']),
    ['ready', 'end'],
  );
  t.is((await cli(['listen', 'alice', '--for', '100ms'])).stderr, '');
  await cli(['user', 'upsert', '17', '--username', 'Nora']);
  t.regex((await cli(['listen', 'Nora', '--for', '100ms'])).stderr, /id Nora here\. Did you mean "17"\?\n/);
  const away = await cli(['listen', 'alcie', '--for', '100ms', '--db', 'sqlite:nowhere.db']);
  t.is(away.code, 0);
  t.is(away.stderr, '');
});

test('silence ends with 9, something else with 8, and what was expected with 0', async t => {
  const {cli, post} = await beside(t);
  const silence = await cli(['listen', 'bob', '--expect', 'type==message_added', '--timeout', '200ms']);
  t.is(silence.code, 9);
  t.is(lines(silence.stdout).at(-1)?.['reason'], 'timeout');

  const command = ['--exec', post('hello'), '--timeout', '15s'];
  const wrong = await cli(['listen', 'bob', '--count', '1', '--expect', 'body.content==bye', ...command]);
  t.is(wrong.code, 8, wrong.stderr);
  t.regex(wrong.stderr, /body\.content==bye/);
  const from = `0:${String(lines(wrong.stdout)[0]?.['epoch'])}`;
  const late = await cli(['listen', 'bob', '--recover', from, '--expect', 'body.content==bye', '--timeout', '200ms']);
  t.is(late.code, 8, late.stderr);

  const right = await cli(['listen', 'bob', '--expect', 'type==message_added && body.content=="hello"', ...command]);
  t.is(right.code, 0, right.stderr);
  const [ready, event, end] = lines(right.stdout);
  t.is(ready?.['type'], 'ready');
  t.is(ready?.['channel'], 'personal:bob');
  t.is(event?.['type'], 'event');
  t.is(event?.['room_id'], 1);
  t.is(typeof event?.['latency_ms'], 'number');
  t.deepEqual([end?.['type'], end?.['reason'], end?.['exit_code']], ['end', 'expected', 0]);
  t.is(typeof end?.['duration_ms'], 'number');

  const both = ['--expect', 'body.content==two', '--expect', 'body.content==one'];
  const two = await cli(['listen', 'bob', ...both, '--exec', `${post('one')}; ${post('two')}`]);
  t.is(two.code, 0, two.stderr);
});

test(`${runs} times in a row what the command brings about is seen`, async t => {
  const {cli, post} = await beside(t);
  for (let i = 0; i < runs; i++) {
    const expression = `type==message_added && body.content==run-${i}`;
    const {code, stdout, stderr} = await cli(['listen', 'bob', '--expect', expression, '--exec', post(`run-${i}`)]);
    t.is(code, 0, `${i}: ${stdout}${stderr}`);
  }
});

test('a command that fails, or that ends after the event, decides', async t => {
  const {cli, post} = await beside(t);
  const failed = await cli(['listen', 'bob', '--exec', 'exit 3', '--timeout', '5s']);
  t.is(failed.code, 1);
  t.is(lines(failed.stdout).at(-1)?.['reason'], 'exec_failed');
  const after = await cli(['listen', 'bob', '--expect', 'type==message_added', '--exec', `${post('x')}; exit 4`]);
  t.is(after.code, 1);
  t.regex(after.stderr, /ended with 4/);
  const told = await cli(['listen', 'bob', '--count', '1', '--exec', `echo hello; ${post('x')} > done`]);
  t.is(told.code, 0);
  t.regex(told.stderr, /hello/);
  t.false(told.stdout.includes('hello\n'));
  t.true(existsSync(join(cli.cwd, 'done')));
  const endless = await cli(['listen', 'bob', '--for', '100ms', '--exec', 'sleep 60; touch survived']);
  t.is(endless.code, 0);
});

test('events are picked by type and room, counted, recovered from a position, and shown as they came', async t => {
  const {cli, chat, room} = await beside(t);
  const other = await chat.room({name: 'other', members: ['alice', 'bob']});
  await chat.post('alice', room, 'one');
  await chat.post('alice', other, 'two');
  await chat.post('alice', other, 'three');
  await chat.expect('bob', 'message_added', ({content}) => content === 'three');
  const {stdout} = await cli(['listen', 'bob', '--for', '1ms', '-o', 'json']);
  const {epoch, offset} = lines(stdout)[0] ?? {};
  t.is(offset, 5);
  const from = ['listen', 'bob', '--recover', `0:${String(epoch)}`, '--timeout', '10s'];
  const of = async (...flags: string[]) =>
    lines((await cli([...from, ...flags])).stdout)
      .filter(({type}) => type === 'event')
      .map(({data, offset: at}) => [(data as {type: string}).type, at]);
  t.deepEqual(await of('--count', '2', '--type', 'message_added'), [
    ['message_added', 3],
    ['message_added', 4],
  ]);
  t.deepEqual(await of('--count', '2', '--room', String(other.id)), [
    ['members_changed', 2],
    ['message_added', 4],
  ]);
  t.deepEqual(await of('--count', '1', '--type', 'room_updated,message_added', '--room', String(other.id)), [
    ['message_added', 4],
  ]);
  const raw = await cli([...from, '--count', '3', '--raw']);
  t.deepEqual(
    lines(raw.stdout).map(({type}) => type),
    ['members_changed', 'members_changed', 'message_added'],
  );
  const gap = await cli(['listen', 'bob', '--recover', '1:gone', '--for', '10ms']);
  t.true(lines(gap.stdout).some(({type}) => type === 'gap'));
  t.is((await cli([...from, '--count', '9', '--for', '300ms'])).code, 9);
});

test('rooms are named as everywhere, several of them, and ids also where the database is away', async t => {
  const {cli, chat} = await beside(t);
  const missing = await cli(['listen', 'bob', '--room', 'nowhere', '--for', '1ms']);
  t.is(missing.code, 3);
  t.is(missing.stdout, '');
  t.regex(missing.stderr, /There is no room "nowhere"\.\nList rooms/);

  const one = await chat.room({name: 'lobby', members: ['alice', 'bob']});
  const two = await chat.room({name: 'other', key: 'order-1', members: ['alice', 'bob']});
  t.regex((await cli(['listen', 'bob', '--room', 'loby', '--for', '1ms'])).stderr, /Did you mean "lobby"\?/);
  await chat.post('alice', one, 'in one');
  await chat.post('alice', two, 'in two');
  await chat.expect('bob', 'message_added', ({content}) => content === 'in two');
  const epoch = String(lines((await cli(['listen', 'bob', '--for', '1ms'])).stdout)[0]?.['epoch']);
  const away = {DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none'};
  const seen = async (env: Record<string, string>, count: number, ...rooms: string[]) => {
    const flags = ['--recover', `0:${epoch}`, '--type', 'message_added', '--count', String(count), '--timeout', '10s'];
    const {code, stdout, stderr} = await cli(['listen', 'bob', ...flags, ...rooms.flatMap(each => ['--room', each])], {
      env,
    });
    t.is(code, 0, stderr);
    return lines(stdout)
      .filter(({type}) => type === 'event')
      .map(each => each['room_id']);
  };
  t.deepEqual(await seen({}, 1, 'name:lobby'), [one.id]);
  t.deepEqual(await seen({}, 1, 'key:order-1'), [two.id]);
  t.deepEqual(await seen({}, 2, 'lobby', 'other'), [one.id, two.id]);
  t.deepEqual(await seen(away, 2, String(two.id), `id:${one.id}`), [one.id, two.id]);
  t.is((await cli(['listen', 'bob', '--room', 'lobby', '--for', '1ms'], {env: away})).code, 5);
});

test('a connection that breaks is told as recovered, or as a gap where something was lost', async t => {
  const key = 'the-key-of-the-server-api';
  const server = await startTestServer(t, 'sqlite', {CENTRIFUGO_API_KEY: key});
  const proxy = await startProxy(t, (server.realtimeUrl ?? '').replace('ws:', 'http:'));
  const cli = await bareCli(t, 'sqlite');
  const listening = startProcess(t, cli, ['listen', 'bob', '--realtime-url', proxy.url.replace('http:', 'ws:')]);
  await listening.line('"ready"');
  await proxy.down();
  await proxy.up();
  await listening.line('"recovered"');
  const streams = openStreams((server.realtimeUrl ?? '').replace(/^ws:(\/\/[^/]+).*/, 'http:$1'), key);
  await proxy.down();
  await streams.publish('personal:bob', '{"type":"message_added","body":{}}', {});
  await streams.clear(['personal:bob']);
  await proxy.up();
  await listening.line('"gap"');
  listening.child.kill('SIGINT');
  const {code, stdout} = await listening.ended;
  t.is(code, 130);
  t.deepEqual([lines(stdout).at(-1)?.['type'], lines(stdout).at(-1)?.['reason']], ['end', 'signal']);
});

test('the first event is seen within a second of its arrival through a pipe, and a reader that has enough ends it', async t => {
  const {cli, chat, room} = await beside(t);
  const listening = startProcess(t, cli, ['listen', 'bob']);
  await listening.line('"ready"');
  await chat.connect('bob');
  await chat.post('alice', room, 'now');
  await chat.expect('bob', 'message_added');
  const started = performance.now();
  await listening.line('"event"');
  const ms = performance.now() - started;
  t.log(`${Math.round(ms)} ms`);
  t.true(ms < 1_000, `${ms} ms`);
  listening.child.stdout?.destroy();
  await until(async () => {
    await chat.post('alice', room, 'nobody reads this');
    return listening.child.exitCode !== null;
  }, 'the end');
  t.is(listening.child.exitCode, 0);
});
