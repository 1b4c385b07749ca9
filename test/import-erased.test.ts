// An import is a door too: who was erased or deactivated does not come back through it unseen.
import {join} from 'node:path';
import test from 'ava';
import {findImportAt, importMembers} from '../src/core/imports.ts';
import {CreateRoom, parse} from '../src/core/input.ts';
import {createRoom} from '../src/core/rooms.ts';
import {upsertUser} from '../src/core/users.ts';
import {loadConfig} from '../src/config.ts';
import {openChat, type OpenChat} from '../src/open.ts';
import {openTestChat, operator, userId} from './helpers/chat.ts';
import {testCli, type TestCli} from './helpers/cli.ts';
import {databases} from './helpers/database.ts';
import {until} from './helpers/until.ts';

const words = 'words that were erased';

async function inChat<T>(cli: TestCli, look: (chat: OpenChat) => PromiseLike<T>): Promise<T> {
  const chat = await openChat(loadConfig({env: cli.env, cwd: cli.cwd}));
  try {
    return await look(chat);
  } finally {
    await chat.close();
  }
}

const disconnected = (cli: TestCli) =>
  inChat(cli, ({db}) => db.sql('outbox').where({type: 'user_deactivated'}).pluck('also_to'));

async function importOver(cli: TestCli, file: string) {
  const name = new URL(cli.env['DATABASE_URL'] ?? '').pathname.split('/').at(-1) ?? '';
  return cli(['import', file, '--mode', 'upsert', '--confirm', name, '--json']);
}

for (const database of databases) {
  test(`${database}: a backup of before an erasure brings nothing of it back`, async t => {
    const cli = await testCli(t, database);
    await cli(['user', 'upsert', 'alice', '--username', 'Alice A.']);
    await cli(['room', 'create', 'general', '--member', 'alice', '--member', 'bob']);
    await cli(['message', 'post', 'general', words, '--as', 'alice']);
    await cli(['message', 'post', 'general', 'of somebody else', '--as', 'bob']);
    await cli(['export', 'backup.ndjson']);
    t.is((await cli(['user', 'erase', 'alice', '--messages', 'redact', '--confirm', 'alice'])).code, 0);

    const over = await importOver(cli, join(cli.cwd, 'backup.ndjson'));
    t.true(Number(over.at('updated')) > 0, over.stderr);
    const {stdout} = await cli(['export']);
    t.false(stdout.includes(words));
    t.false(stdout.includes('Alice A.'));
    t.true(stdout.includes('of somebody else'));
    t.is((await cli(['member', 'list', 'general', '-o', 'id'])).stdout, 'bob\n');
  });

  test(`${database}: an erasure that was made elsewhere comes with the import`, async t => {
    const from = await testCli(t, database);
    await from(['room', 'create', 'general', '--member', 'alice', '--member', 'bob']);
    await from(['message', 'post', 'general', words, '--as', 'alice']);
    await from(['export', 'before.ndjson']);
    await from(['user', 'erase', 'alice', '--messages', 'redact', '--confirm', 'alice']);
    await from(['export', 'after.ndjson']);
    const to = await testCli(t, database);
    t.is((await to(['import', join(from.cwd, 'before.ndjson'), '--yes'])).code, 0);
    t.is((await importOver(to, join(from.cwd, 'after.ndjson'))).code, 0);
    t.false((await to(['export'])).stdout.includes(words));
    t.is((await disconnected(to)).length, 1);
  });

  test(`${database}: messages that were kept under an erased id are part of a backup`, async t => {
    const from = await testCli(t, database);
    await from(['room', 'create', 'general', '--member', 'alice', '--member', 'bob']);
    await from(['message', 'post', 'general', words, '--as', 'alice']);
    await from(['user', 'erase', 'alice', '--messages', 'keep', '--confirm', 'alice']);
    await from(['export', 'backup.ndjson']);
    const to = await testCli(t, database);
    t.is((await to(['import', join(from.cwd, 'backup.ndjson'), '--yes'])).code, 0);
    t.true((await to(['export'])).stdout.includes(words));
  });

  test(`${database}: a user whom an import deactivates is disconnected, and the audit log tells of it`, async t => {
    const from = await testCli(t, database);
    await from(['user', 'upsert', 'alice']);
    await from(['export', 'active.ndjson']);
    await from(['user', 'deactivate', 'alice', '--yes']);
    await from(['export', 'inactive.ndjson']);
    const to = await testCli(t, database);
    t.is((await to(['import', join(from.cwd, 'active.ndjson'), '--yes'])).code, 0);
    t.deepEqual(await disconnected(to), []);
    for (let i = 0; i < 2; i++) t.is((await importOver(to, join(from.cwd, 'inactive.ndjson'))).code, 0);
    t.is((await disconnected(to)).length, 1, 'once');
    t.is((await importOver(to, join(from.cwd, 'active.ndjson'))).code, 0);
    const actions = await inChat(to, ({db}) => db.sql('audit').where({user_id: 'alice'}).orderBy('id').pluck('action'));
    t.deepEqual(actions, ['user.deactivate', 'user.upsert']);
  });
}

if (databases.includes('postgres')) {
  test('postgres: an erasure under way is waited for by an import of members, which then refuses the user', async t => {
    const chat = await openTestChat(t, 'postgres');
    const alice = userId('alice');
    await upsertUser(chat, operator, alice, 'Alice');
    const {id: room} = await createRoom(chat, operator, parse(CreateRoom, {name: 'general'}));
    const erasure = await chat.db.sql.transaction();
    await erasure.raw(`select id from users where id = 'alice' for update`);
    await erasure('users').where({id: alice}).update({erased_at: chat.now()});
    const importing = importMembers(chat, operator, {
      room,
      event: 'none',
      existingUsers: false,
      before: 0,
      rows: [{user: alice, role: 'member', username: undefined}],
      after: () => ({id: 'one', position: 1, inputHash: '', state: '{}'}),
    });
    await until(async () => {
      const waiting = await erasure('pg_stat_activity').whereRaw(
        `wait_event_type = 'Lock' and datname = current_database()`,
      );
      return waiting.length === 1;
    }, 'the import waits');
    await erasure.commit();
    const {added, refused} = await importing;
    t.is(added, 0);
    t.deepEqual(refused, [{at: 0, reason: 'the user alice was erased'}]);
    t.is((await chat.db.sql('members').where({user_id: alice})).length, 0);
    t.is((await findImportAt(chat, operator, 'one'))?.position, 1);
  });
}
