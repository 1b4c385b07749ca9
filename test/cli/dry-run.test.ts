import test from 'ava';
import {CreateRoom, parse, PostMessage, UpdateRoom} from '../../src/core/input.ts';
import {putMember, removeMember} from '../../src/core/members.ts';
import {deleteMessage} from '../../src/core/messages.ts';
import {postMessage} from '../../src/core/post-queue.ts';
import {createRoom, updateRoom} from '../../src/core/rooms.ts';
import type {Actor} from '../../src/core/chat.ts';
import {loadConfig} from '../../src/config.ts';
import {openChat, type OpenChat} from '../../src/open.ts';
import {openTestChat, userId} from '../helpers/chat.ts';
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
  ['user', 'upsert', 'erin'],
  ['user', 'deactivate', 'alice'],
  ['user', 'erase', 'alice', '--messages', 'delete'],
];

for (const database of databases) {
  test(`${database}: a dry run of every write asks nothing, shows what would be, and leaves no trace`, async t => {
    const cli = await testCli(t, database);
    await cli(['room', 'create', 'general', '--member', 'alice']);
    await cli(['message', 'post', 'general', 'first']);
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

  test(`${database}: the command line and the use cases of the API leave the same events`, async t => {
    const cli = await testCli(t, database);
    for (const args of [
      ['room', 'create', 'general', '--member', 'alice'],
      ['member', 'add', 'general', 'bob', '--role', 'admin'],
      ['message', 'post', 'general', 'hello', '--as', 'bob'],
      ['message', 'delete', '1'],
      ['room', 'rename', 'general', 'lobby'],
      ['member', 'remove', 'lobby', 'bob'],
    ]) {
      t.is((await cli(args)).code, 0, args.join(' '));
    }
    const byCli = await chatOf(cli);
    t.teardown(() => byCli.close());

    const byApi = await openTestChat(t, database);
    const service: Actor = {kind: 'service', name: 'primary'};
    const {id} = await createRoom(byApi, service, parse(CreateRoom, {name: 'general', members: ['alice']}));
    await putMember(byApi, service, id, userId('bob'), {role: 'admin'});
    const post = parse(PostMessage, {content: 'hello', user_id: 'bob'});
    const {message} = await postMessage(byApi, service, id, post);
    await deleteMessage(byApi, service, id, message.id);
    await updateRoom(byApi, service, id, parse(UpdateRoom, {name: 'lobby'}));
    await removeMember(byApi, service, id, userId('bob'));
    t.deepEqual(await events(byCli), await events(byApi));
  });
}

/** The outbox without what differs from run to run: times, and the database's id. */
async function events(chat: OpenChat): Promise<unknown[]> {
  const rows = await chat.db.sql('outbox').orderBy('id');
  const time = /\d{4}-\d\d-\d\dT[\d:.]+Z/g;
  return rows.map(
    row => JSON.parse(JSON.stringify(row).replaceAll(time, 'T').replaceAll(chat.databaseId, 'D')) as unknown,
  );
}
