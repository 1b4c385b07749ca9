import test from 'ava';
import {loadConfig} from '../../src/config.ts';
import {openChat} from '../../src/open.ts';
import {databases} from '../helpers/database.ts';
import {startProcess, testCli} from '../helpers/cli.ts';
import {makeDear} from '../helpers/halfway.ts';
import {until} from '../helpers/until.ts';

for (const database of databases) {
  test(`${database}: messages of all rooms are searched by text, room, author and age`, async t => {
    const cli = await testCli(t, database);
    await cli(['room', 'create', 'ops', '--member', 'alice']);
    await cli(['room', 'create', 'sales']);
    await cli(['message', 'post', 'ops', 'Invoice 1 is late', '--as', 'alice']);
    await cli(['message', 'post', 'ops', '100% done']);
    await cli(['message', 'post', 'sales', 'an INVOICE for 2_000']);
    const found = async (...args: string[]) =>
      (await cli(['message', 'search', ...args, '--fields', 'content'])).stdout;
    t.is(await found('nothing'), '');
    t.is(await found('invoice'), 'an INVOICE for 2_000\nInvoice 1 is late\n');
    t.is(await found('invoice', '--room', 'ops'), 'Invoice 1 is late\n');
    t.is(await found('invoice', '--from', 'alice'), 'Invoice 1 is late\n');
    t.is(await found('invoice', '--since', '1h', '--limit', '1'), 'an INVOICE for 2_000\n');
    t.is(await found('invoice', '--since', '2999-01-01T00:00:00Z'), '');
    t.is((await cli(['message', 'search', 'invoice', '--since', '9999-99-99T00:00:00Z'])).code, 2);
    t.is((await cli(['message', 'list', 'ops', '--since', '2000-01-01T00:00:00Z', '-o', 'id'])).stdout, '2\n1\n');
    t.is(await found('%'), '100% done\n');
    t.is(await found('2_0'), 'an INVOICE for 2_000\n');
    const first = await cli(['message', 'search', 'invoice', '--limit', '1', '--json']);
    const next = String(first.at('next'));
    t.is(await found('invoice', '--before', next), 'Invoice 1 is late\n');
    await cli(['message', 'delete', next]);
    await cli(['room', 'delete', 'ops', '--confirm', 'ops']);
    t.is(await found('invoice'), '');
    t.is((await cli(['message', 'search', ' '])).code, 2);
    t.is((await cli(['message', 'search', 'x', '--room', 'nowhere'])).code, 3);
  });

  test(`${database}: tail shows the last messages, then what comes, and ends where it was told to`, async t => {
    const cli = await testCli(t, database);
    t.is((await cli(['message', 'tail', 'nowhere'])).code, 3);
    await cli(['room', 'create', 'general']);
    await cli(['room', 'create', 'empty']);
    for (const text of ['one', 'two', 'three']) await cli(['message', 'post', 'general', text]);
    const contents = (stdout: string) => stdout.split('\n').flatMap(line => line.split('\t')[4] ?? []);
    const last = await cli(['message', 'tail', 'general', 'empty', '--last', '2', '--no-follow']);
    t.deepEqual(contents(last.stdout), ['two', 'three']);
    t.is((await cli(['message', 'tail', 'general', '--last', '0', '--no-follow'])).stdout, '');
    const following = cli(['message', 'tail', 'general', '--json', '--count', '4', '--interval', '20ms']);
    await cli(['message', 'post', 'general', 'four']);
    const lines = (await following).stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as Record<string, unknown>);
    t.deepEqual(
      lines.map(line => line['type']),
      ['ready', 'message', 'message', 'message', 'message', 'end'],
    );
    t.is(lines.at(-1)?.['reason'], 'count');
    t.is((await cli(['message', 'tail', 'general', '--for', '50ms'])).code, 0);
    t.is((await cli(['message', 'tail', 'general', '--count', '9', '--timeout', '50ms'])).code, 9);
  });

  test(`${database}: a message is posted many times, and each has its number`, async t => {
    const cli = await testCli(t, database);
    await cli(['room', 'create', 'general']);
    const posted = await cli([
      'message',
      'post',
      'general',
      'number {n}',
      '--count',
      '3',
      '--interval',
      '1ms',
      '--json',
    ]);
    t.is(posted.at('results.2.message.content'), 'number 3', posted.stderr);
    t.is((await cli(['message', 'post', 'general', 'x', '--interval', '1s'])).code, 2);
    t.is((await cli(['message', 'post', 'general', 'x', '--count', '2', '--idempotency-key', 'k'])).code, 2);
  });
}

test('Ctrl-C ends many posts at once, in a long interval too, and tells what was posted', async t => {
  const cli = await testCli(t, 'sqlite');
  await cli(['room', 'create', 'general']);
  const posting = startProcess(t, cli, [
    'message',
    'post',
    'general',
    'x',
    '--count',
    '9',
    '--interval',
    '1h',
    '--json',
  ]);
  await until(
    async () => (await cli(['message', 'list', 'general', '-o', 'id'])).stdout !== '' || undefined,
    'the first post',
  );
  posting.child.kill('SIGINT');
  const {code, at, stderr} = await posting.ended;
  t.is(code, 130);
  t.is(at('results.length'), 1);
  t.true(at('results.0.ok'));
  t.regex(stderr, /Stopped: 1 of 9 were posted\./);
});

test('a rehearsal of many posts that is stopped says that they were rehearsed', async t => {
  const cli = await testCli(t, 'sqlite');
  await cli(['room', 'create', 'general']);
  const {code, stderr} = await cli(['message', 'post', 'general', 'x', '--count', '9', '--dry-run'], {
    onSignal(signal, listener) {
      if (signal === 'SIGINT') queueMicrotask(listener);
      return () => undefined;
    },
  });
  t.is(code, 130);
  t.regex(stderr, /^Stopped: \d of 9 were rehearsed\.$/m);
});

test('Ctrl-C ends the deletion of many messages with what was deleted, and with 130', async t => {
  const cli = await testCli(t, 'sqlite');
  await cli(['room', 'create', 'general']);
  await cli(['message', 'post', 'general', '--lines', '--quiet'], {stdin: 'x\n'.repeat(60)});
  const ids = (await cli(['message', 'list', 'general', '--all', '-o', 'id'])).stdout.trim().split('\n');
  const chat = await openChat(loadConfig({env: cli.env, cwd: cli.cwd}));
  t.teardown(() => chat.close());
  const cheap = await makeDear(chat.db, 'audit', 5_000_000);
  const running = startProcess(t, cli, ['message', 'delete', ...ids, '--yes', '--json']);
  const deleted = async () => (await chat.db.sql('messages').where('content', '')).length;
  await until(async () => (await deleted()) > 0, 'the first to be deleted');
  running.child.kill('SIGINT');
  const {code, at, stderr} = await running.ended;
  await cheap();
  t.is(code, 130, stderr);
  const done = Number(at('results.length'));
  t.is(done, await deleted());
  t.true(done < ids.length);
  t.true(stderr.includes(`Stopped: ${done} of ${ids.length} were done.`), stderr);
});

test('Ctrl-C ends the wait for delivery with what was posted, and with 130', async t => {
  const cli = await testCli(t, 'sqlite');
  await cli(['room', 'create', 'general']);
  for (const many of [[], ['--count', '3']]) {
    const args = ['message', 'post', 'general', 'hello', ...many, '--wait', 'delivered', '--timeout', '1h', '--json'];
    const posting = startProcess(t, cli, args);
    const posted = () => cli(['message', 'list', 'general', '-o', 'id']);
    const wanted = many.length === 0 ? 1 : 4;
    await until(async () => (await posted()).stdout.trim().split('\n').filter(Boolean).length === wanted, 'the posts');
    posting.child.kill('SIGINT');
    const {code, at, stderr} = await posting.ended;
    t.is(code, 130, stderr);
    const place = many.length === 0 ? '' : 'results.0.';
    t.is(at(`${place}message.content`), 'hello');
    t.is(at(`${place}event.state`), 'queued');
  }
});

const withPostgres = databases.includes('postgres') ? test : test.skip;

withPostgres('where the database fails among many, what was posted is told, and the rest is not tried', async t => {
  const cli = await testCli(t, 'postgres');
  await cli(['room', 'create', 'general']);
  const chat = await openChat(loadConfig({env: cli.env, cwd: cli.cwd}));
  t.teardown(() => chat.close());
  await chat.db.writer.raw(`create function fail() returns trigger language plpgsql as
    $$ begin if new.content = 'fails' then raise exception 'gone' using errcode = '57P01'; end if; return new; end $$`);
  await chat.db.writer.raw('create trigger fails before insert on messages for each row execute function fail()');
  const lines = ['message', 'post', 'general', '--lines', '--json'];
  const none = await cli(lines, {stdin: 'fails\none\n'});
  t.is(none.code, 5);
  t.is(none.stdout, '');
  const some = await cli(lines, {stdin: 'one\ntwo\nfails\nthree\nfour\n'});
  t.is(some.code, 7, some.stderr);
  t.deepEqual(
    [0, 1, 2].map(i => some.at(`results.${i}.ok`)),
    [true, true, false],
  );
  t.is(some.at('results.length'), 3);
  t.is(some.at('results.2.error.code'), 'database_unavailable');
  t.regex(some.stderr, /Failed: The database cannot be reached[^]*2 more were not tried\./);
});

test('tail in a pipe shows a message within a second of its posting, and Ctrl-C ends it with 130', async t => {
  const cli = await testCli(t, 'sqlite');
  await cli(['room', 'create', 'general']);
  const tail = startProcess(t, cli, ['message', 'tail', 'general', '--json']);
  await tail.line('"ready"');
  await cli(['message', 'post', 'general', 'hello']);
  const posted = performance.now();
  await tail.line('hello');
  // Generous, for a machine that is busy with other things.
  t.true(performance.now() - posted < 3_000);
  tail.child.kill('SIGINT');
  const {code, stdout} = await tail.ended;
  t.is(code, 130);
  t.regex(stdout, /"type":"end","reason":"signal","messages":1,"exit_code":130/);
});

test('a post goes through the API of a running server, or waits until the broker has it', async t => {
  const cli = await testCli(t, 'sqlite');
  await cli(['room', 'create', 'general', '--member', 'alice']);
  const late = await cli([
    'message',
    'post',
    'general',
    'nobody delivers',
    '--wait',
    'delivered',
    '--timeout',
    '100ms',
    '--json',
  ]);
  t.is(late.code, 9);
  t.is(late.at('event.state'), 'queued');
  t.regex(late.stderr, /still waits/);
  const nobody = await cli(['message', 'post', 'general', 'x', '--via', 'api', '--api-url', 'http://127.0.0.1:1']);
  t.is(nobody.code, 5);
  const server = startProcess(t, cli, ['serve']);
  const {api} = JSON.parse(await server.line('chatctl serves')) as {api: string};
  const through = ['message', 'post', 'general', 'hello', '--via', 'api', '--api-url', api, '--json'];
  const stranger = await cli([...through, '--as', 'stranger']);
  t.is(stranger.code, 4);
  t.is(stranger.at('error.hint'), 'Add them first: chatctl member add 1 stranger');
  const foreign = await cli(through, {env: {JWT_SECRET: 'another-secret-0123456789-0123456789'}});
  t.is(foreign.code, 6);
  t.regex(String(foreign.at('error.hint')), /^Is JWT_SECRET here the one that the server has\? Try it: /);
  const posted = await cli([...through, '--as', 'alice', '--idempotency-key', 'k1']);
  t.is(posted.at('message.user.id'), 'alice', posted.stderr);
  t.is(posted.at('event.mode'), 'api');
  t.is((await cli([...through, '--as', 'alice', '--idempotency-key', 'k1'])).at('message.id'), posted.at('message.id'));
  const wait = ['--wait', 'delivered', '--json'];
  const delivered = await cli(['message', 'post', 'general', 'now', ...wait]);
  t.is(delivered.code, 0, delivered.stderr);
  t.is(delivered.at('event.state'), 'delivered');
  const many = await cli(['message', 'post', 'general', '--lines', ...wait], {
    stdin: `one\n${'x'.repeat(10_001)}\ntwo\n`,
  });
  t.is(many.code, 7, many.stderr);
  t.deepEqual(
    [0, 2].map(i => many.at(`results.${i}.event.state`)),
    ['delivered', 'delivered'],
  );
});

test('a post through the API is rehearsed here, and its plan shows the request that would be sent where', async t => {
  const cli = await testCli(t, 'sqlite');
  await cli(['room', 'create', 'general', '--member', 'alice']);
  const through = ['message', 'post', 'general', 'hi', '--via', 'api', '--api-url', 'http://127.0.0.1:1', '--dry-run'];
  t.is((await cli([...through, '--as', 'stranger'])).code, 4);
  const {code, at, stderr} = await cli([...through, '--as', 'alice', '--json']);
  t.is(code, 0, stderr);
  t.is(at('event.state'), 'dry_run');
  t.regex(
    String(at('dry_run.curl.0')),
    /^curl -X POST .*"user_id":"alice".* http:\/\/127\.0\.0\.1:1\/api\/rooms\/1\/messages\/$/,
  );
  t.regex(stderr, /Dry run: nothing was changed\./);
  t.is((await cli(['message', 'list', 'general'])).stdout, '');
});
