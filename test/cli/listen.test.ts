import test from 'ava';
import {bareCli, startProcess, type TestCli} from '../helpers/cli.ts';
import type {ExecutionContext} from 'ava';

/** A running server of the test's own, found by its addresses. */
async function withServer(t: ExecutionContext, env: Record<string, string> = {}): Promise<TestCli> {
  const cli = await bareCli(t, 'sqlite');
  Object.assign(cli.env, env);
  const server = startProcess(t, cli, ['dev', '--json']);
  await server.line('"ready"');
  return cli;
}

function lines(text: string): Record<string, unknown>[] {
  return text
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown>);
}

const post = (content: string) =>
  `${process.execPath} ${new URL('../../bin/chatctl.js', import.meta.url).pathname} message post general '${content}'`;

test('listen tells of what is delivered and ends when the expected has come, has not, or was something else', async t => {
  const cli = await withServer(t);
  const timeout = await cli(['listen', 'bob', '--expect', 'type==message_added', '--timeout', '300ms']);
  t.is(timeout.code, 9);
  t.is(lines(timeout.stdout).at(-1)?.['reason'], 'timeout');

  const command = ['--exec', post('hello'), '--timeout', '15s'];
  const wrong = await cli(['listen', 'bob', '--count', '1', '--expect', 'body.content==bye', ...command]);
  t.is(wrong.code, 8, wrong.stderr);
  t.regex(wrong.stderr, /body\.content==bye/);

  const right = await cli(['listen', 'bob', '--expect', 'type==message_added && body.content=="hello"', ...command]);
  t.is(right.code, 0, right.stderr);
  const [ready, event, end] = lines(right.stdout);
  t.is(ready?.['type'], 'ready');
  t.is(ready?.['channel'], 'personal:bob');
  t.is(event?.['type'], 'event');
  t.is(event?.['room_id'], 1);
  t.is(typeof event?.['latency_ms'], 'number');
  t.deepEqual([end?.['type'], end?.['reason'], end?.['exit_code']], ['end', 'expected', 0]);

  const from = `${Number(event?.['offset']) - 1}:${String(event?.['epoch'])}`;
  const recovered = await cli(['listen', 'bob', '--recover', from, '--count', '1', '--timeout', '5s']);
  t.is(recovered.code, 0, recovered.stderr);
  t.true(lines(recovered.stdout).some(line => line['type'] === 'event' && line['offset'] === event?.['offset']));

  const raw = await cli(['listen', 'bob', '--recover', from, '--count', '1', '--raw']);
  t.is(lines(raw.stdout)[0]?.['type'], 'message_added');
  t.is((await cli(['listen', 'bob', '--for', '100ms'])).code, 0);
  t.is((await cli(['listen', 'bob', '--exec', 'exit 3', '--timeout', '5s'])).code, 1);
});

test('listen says why a token is refused, and when nobody is there', async t => {
  const cli = await withServer(t);
  const other = {CENTRIFUGO_TOKEN_SECRET: 'another-secret-0123456789-0123456789'};
  const refused = await cli(['listen', 'bob', '--timeout', '5s', '--json'], {env: other});
  t.is(refused.code, 6);
  t.is(refused.at('error.code'), 'invalid_token');
  const foreign = {JWT_SECRET: 'another-secret-0123456789-0123456789'};
  const url = await apiOf(cli);
  t.is((await cli(['listen', 'bob', '--api-url', url, '--timeout', '5s'], {env: foreign})).code, 6);
  t.is((await cli(['listen', 'bob', '--api-url', url, '--for', '100ms'])).code, 0);
  t.is((await cli(['listen', 'bob', '--realtime-url', 'ws://127.0.0.1:1/'])).code, 5);
  t.is((await cli(['listen', 'bob', '--expect', 'type=message_added'])).code, 2);
  t.is((await cli(['listen', 'bob', '--recover', 'nonsense'])).code, 2);
});

async function apiOf(cli: TestCli): Promise<string> {
  const {readFileSync} = await import('node:fs');
  return (JSON.parse(readFileSync(`${cli.cwd}/.chatctl/server.json`, 'utf8')) as {api_url: string}).api_url;
}
