import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {loadConfig} from '../../src/config.ts';
import {openChat, type OpenChat} from '../../src/open.ts';
import {testCli, type TestCli} from '../helpers/cli.ts';
import {databases} from '../helpers/database.ts';

const tables = ['rooms', 'members', 'messages', 'users', 'outbox', 'audit'];

async function contents(chat: OpenChat): Promise<Record<string, unknown[]>> {
  const found: [string, unknown[]][] = [];
  for (const table of tables) found.push([table, await chat.db.sql(table).orderBy(1 as never)]);
  return Object.fromEntries(found);
}

async function chatOf(cli: TestCli): Promise<OpenChat> {
  return openChat(loadConfig({env: cli.env, cwd: cli.cwd}));
}

const writes = [
  ['room', 'create', 'other', '--member', 'carol'],
  ['room', 'rename', 'general', 'lobby'],
  ['room', 'archive', 'general'],
  ['room', 'delete', 'general'],
  ['member', 'add', 'general', 'carol', 'dave'],
  ['member', 'remove', 'general', 'alice'],
  ['member', 'remove', 'general', '--all'],
  ['message', 'post', 'general', 'hello', '--as', 'alice'],
  ['message', 'delete', '1'],
  ['member', 'import', 'general', 'people.csv'],
  ['seed', '--append', '--users', '5'],
  ['import', 'backup.ndjson', '--mode', 'upsert'],
  ['user', 'upsert', 'erin'],
  ['user', 'deactivate', 'alice'],
  ['user', 'erase', 'alice', '--messages', 'delete'],
];

for (const database of databases) {
  test(`${database}: a dry run of every write asks nothing, shows what would be, and leaves no trace`, async t => {
    const cli = await testCli(t, database);
    await cli(['room', 'create', 'general', '--member', 'alice']);
    await cli(['message', 'post', 'general', 'first']);
    writeFileSync(join(cli.cwd, 'people.csv'), 'user\nfrank\n');
    await cli(['export', 'backup.ndjson']);
    const chat = await chatOf(cli);
    t.teardown(() => chat.close());
    const before = await contents(chat);
    for (const args of writes) {
      const {code, stderr} = await cli([...args, '--dry-run']);
      t.is(code, 0, `${args.join(' ')}: ${stderr}`);
      t.regex(stderr, /nothing was changed/i, args.join(' '));
    }
    const posted = await cli(['message', 'post', 'general', 'hello', '-n', '--json']);
    t.is(posted.at('message.content'), 'hello');
    t.is(posted.at('event.state'), 'dry_run');
    t.is(posted.at('event.data.type'), 'message_added');
    t.is(posted.at('event.data.body.content'), 'hello');
    t.is(posted.at('event.outbox_id'), null);
    t.deepEqual(await contents(chat), before);
  });

  test(`${database}: a rehearsal tells the target, the rows, the events with their size, and the request`, async t => {
    const cli = await testCli(t, database);
    await cli(['room', 'create', 'general', '--member', 'alice']);
    const {code, stderr, at} = await cli(['member', 'add', 'general', 'bob', 'carol', '-n', '--json']);
    t.is(code, 0, stderr);
    t.is(at('dry_run.target.driver'), database);
    t.deepEqual(at('dry_run.target.counts'), {rooms: 1, members: 1, messages: 0, users: 1});
    // Each of the two by itself, as nothing is kept of the first.
    t.deepEqual(at('dry_run.rows.members'), {inserted: 2, updated: 0, deleted: 0});
    t.deepEqual(at('dry_run.rows.users'), {inserted: 2, updated: 0, deleted: 0});
    t.is(at('dry_run.events.0.type'), 'user_joined');
    t.is(at('dry_run.events.0.channels'), 2);
    t.true(Number(at('dry_run.events.0.bytes')) > 400);
    t.regex(stderr, /target {2}(?:sqlite|postgres) \S+(?: on \S+)?: 1 room, 1 user, 1 membership, 0 messages/);
    t.regex(stderr, /rows {4}.*members \+2/);
    t.regex(stderr, /event {3}user_joined to 2 user\(s\), about \d+ bytes|kB/);
    t.regex(stderr, /same as curl -X PUT .*\/api\/rooms\/1\/members\/bob\//);
    const erased = await cli(['user', 'erase', 'alice', '--messages', 'keep', '-n']);
    t.regex(erased.stderr, /same as curl -X POST .*"messages":"keep".*\/api\/users\/alice\/erase\//, erased.stderr);
    const deleted = await cli(['room', 'delete', 'general', '-n', '--json']);
    t.deepEqual(deleted.at('dry_run.rows.rooms'), {inserted: 0, updated: 1, deleted: 0});
  });
}
