// One SQLite file for a server and command lines.
import {execFile} from 'node:child_process';
import {once} from 'node:events';
import {chmodSync, mkdirSync, statSync, writeFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {promisify} from 'node:util';
import test, {type ExecutionContext} from 'ava';
import knex from 'knex';
import {postMessage} from '../../src/core/post-queue.ts';
import {CreateRoom, parse, PostMessage} from '../../src/core/input.ts';
import {createRoom} from '../../src/core/rooms.ts';
import {connect, parseDatabaseUrl} from '../../src/db/connect.ts';
import {sqliteDriver} from '../../src/db/drivers.ts';
import {rows} from '../../src/db/rows.ts';
import {inSnapshot} from '../../src/db/snapshot.ts';
import {inTransaction} from '../../src/db/transaction.ts';
import {claimFile} from '../../src/delivery/claims.ts';
import {openChat} from '../../src/open.ts';
import {openTestChat, operator, testConfig, testSecrets} from '../helpers/chat.ts';
import {collectGarbage} from '../helpers/collect.ts';
import {temporaryDir} from '../helpers/database.ts';

const run = promisify(execFile);

async function pragma(t: ExecutionContext, name: string, writer: boolean): Promise<unknown> {
  const chat = await openTestChat(t, 'sqlite');
  const sql = writer ? chat.db.writer : chat.db.sql;
  const [row] = await rows<Record<string, unknown>>({sql, dialect: chat.db.dialect}, `pragma ${name}`);
  return Object.values(row ?? {})[0];
}

test('what was acknowledged survives a power cut: WAL, synchronous=FULL, foreign keys', async t => {
  t.is(await pragma(t, 'journal_mode', true), 'wal');
  t.is(await pragma(t, 'synchronous', true), 2);
  t.is(await pragma(t, 'foreign_keys', true), 1);
  t.is(await pragma(t, 'busy_timeout', true), 0);
});

test('a reading connection cannot write', async t => {
  const chat = await openTestChat(t, 'sqlite');
  await t.throwsAsync(rows(chat.db, `insert into meta (key, value) values ('a', 'b')`), {message: /readonly/});
});

test('what reads for long does not keep others from reading', async t => {
  const {db} = await openTestChat(t, 'sqlite');
  const found = await inSnapshot(db, () => rows<{one: number}>(db, 'select 1 as one'));
  t.deepEqual(found, [{one: 1}]);
});

test('the bundled SQLite has the fix of the WAL-reset fault', async t => {
  const chat = await openTestChat(t, 'sqlite');
  const [{version} = {version: ''}] = await rows<{version: string}>(chat.db, 'select sqlite_version() as version');
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
  t.true(major > 3 || minor > 51 || (minor === 51 && patch >= 3), version);
});

test('files are 0600 and a folder that was made 0700, whatever the umask', async t => {
  const before = process.umask(0o022);
  t.teardown(() => process.umask(before));
  const folder = join(temporaryDir(t), 'new');
  const config = {...(await testConfig(t, 'sqlite')), DATABASE_URL: `sqlite:${folder}/chat.db`};
  const chat = await openChat(config, {migrate: true});
  t.teardown(() => chat.close());
  t.is(statSync(folder).mode & 0o777, 0o700);
  for (const suffix of ['', '-wal', '-shm']) t.is(statSync(`${folder}/chat.db${suffix}`).mode & 0o777, 0o600, suffix);
});

test('a database that is not there is not made in passing', async t => {
  const target = parseDatabaseUrl(`sqlite:${join(temporaryDir(t), 'none.db')}`);
  await t.throwsAsync(connect(target), {code: 'database_missing', message: /There is no database at/});
});

test('a folder, a file that is no database and a file that may not be read are refused in one line', async t => {
  const dir = temporaryDir(t);
  mkdirSync(join(dir, 'folder'));
  writeFileSync(join(dir, 'text'), 'this is no database, but a text of some length, so that it cannot pass for one');
  await t.throwsAsync(connect(parseDatabaseUrl(`sqlite:${dir}/folder`)), {message: /is a directory/});
  const error = await t.throwsAsync(connect(parseDatabaseUrl(`sqlite:${dir}/text`)), {code: 'database_unavailable'});
  t.false(error?.message.includes('\n'));
  if (process.getuid?.() === 0) {
    t.log('run as root, which may read everything');
    return;
  }
  writeFileSync(join(dir, 'closed'), '');
  chmodSync(join(dir, 'closed'), 0o000);
  await t.throwsAsync(connect(parseDatabaseUrl(`sqlite:${dir}/closed`)), {code: 'database_unavailable'});
});

test('an address that is neither SQLite nor PostgreSQL is refused without its password', t => {
  const error = t.throws(() => parseDatabaseUrl('mysql://root:canary@host/db'), {code: 'config_invalid'});
  t.false(error?.message.includes('canary'));
});

test('a second server on the file is refused, and the lock ends with the first', async t => {
  const path = join(temporaryDir(t), 'chat.db');
  const first = await claimFile(path);
  await t.throwsAsync(claimFile(path), {code: 'server_running', message: /runs on .*chat\.db already/});
  await first.release();
  const second = await claimFile(path);
  await second.release();
});

test('a file that another process holds for a moment is waited for at the start too', async t => {
  const file = join(temporaryDir(t), 'chat.db');
  const {config} = await sqliteDriver();
  const other = knex(config(file, []));
  await other.raw('begin exclusive');
  const opening = connect(parseDatabaseUrl(`sqlite:${file}`));
  // Without a wait it would have been refused by then.
  setTimeout(() => void other.destroy(), 100);
  await (await opening).close();
  t.pass();
});

test('a transaction that reads first and writes then waits for another process instead of failing', async t => {
  const config = await testConfig(t, 'sqlite');
  const [one, two] = [await openChat(config, {migrate: true}), await openChat(config)];
  t.teardown(() => Promise.all([one.close(), two.close()]));
  const room = await createRoom(one, operator, parse(CreateRoom, {name: 'general'}));
  const write = (chat: typeof one, name: string) =>
    inTransaction(chat.db, async tx => {
      await rows(tx, 'select version from rooms');
      await rows(tx, 'update rooms set name = ? where id = ?', [name, room.id]);
    });
  await t.notThrowsAsync(Promise.all(Array.from({length: 40}, (_, i) => write(i % 2 === 0 ? one : two, `n${i}`))));
});

test('several processes that write at once all get their turn', async t => {
  const large = process.argv.includes('--large');
  const [processes, each] = large ? [8, 500] : [4, 40];
  const config = await testConfig(t, 'sqlite');
  const chat = await openChat(config, {migrate: true});
  t.teardown(() => chat.close());
  const room = await createRoom(chat, operator, parse(CreateRoom, {name: 'general'}));
  const script = `
    import {openChat} from './dist/src/open.js';
    import {loadConfig} from './dist/src/config.js';
    import {postMessage} from './dist/src/core/post-queue.js';
    const chat = await openChat(loadConfig({env: process.env, cwd: process.cwd()}));
    let slowest = 0;
    for (let i = 0; i < ${each}; i++) {
      const before = performance.now();
      await postMessage(chat, {kind: 'operator', name: 'x'}, ${room.id}, {content: 'm' + i});
      slowest = Math.max(slowest, performance.now() - before);
    }
    await chat.close();
    console.log(Math.round(slowest));`;
  const children = Array.from({length: processes}, () =>
    run(process.execPath, ['--input-type=module', '-e', script], {
      env: {PATH: process.env['PATH'], DATABASE_URL: config.DATABASE_URL},
    }),
  );
  for (let i = 0; i < each; i++) {
    await postMessage(chat, operator, room.id, parse(PostMessage, {content: `own ${i}`}));
  }
  const slowest = (await Promise.all(children)).map(({stdout}) => Number(stdout));
  t.log(`slowest write of each process: ${slowest.join(', ')} ms`);
  // Beside a process that never rests; the large size is for a machine that does nothing else.
  t.true(Math.max(...slowest) <= (large ? 2_000 : 10_000));
  const [{n, top} = {n: 0, top: 0}] = await rows<{n: number; top: number}>(
    chat.db,
    'select count(*) as n, max(seq) as top from messages',
  );
  t.is(n, (processes + 1) * each);
  t.is(top, n);
  t.deepEqual(await rows(chat.db, 'pragma integrity_check'), [{integrity_check: 'ok'}]);
});

test('an unknown driver is not asked for, and the one that is there says its name', async t => {
  const driver = await sqliteDriver();
  t.true(['sqlite3', 'node:sqlite'].includes(driver.name));
});

/** A process that is not root, which could write everything. */
async function unprivileged(args: string[], env: Record<string, string>): Promise<{code: number; stderr: string}> {
  const nobody = process.getuid?.() === 0 ? {uid: 65_534, gid: 65_534} : {};
  const child = execFile(process.execPath, ['dist/bin/chatctl.js', ...args], {
    ...nobody,
    env: {PATH: process.env['PATH'], ...testSecrets, PORT: '0', REALTIME_PORT: '0', ...env},
  });
  let stderr = '';
  child.stderr?.on('data', (chunk: string) => (stderr += chunk));
  const [code] = (await once(child, 'close')) as [number];
  return {code, stderr};
}

test('a file that can only be read is no database to serve, and reading it goes on', async t => {
  const config = await testConfig(t, 'sqlite');
  const chat = await openChat(config, {migrate: true});
  await chat.close();
  const path = config.DATABASE_URL.replace('sqlite:', '');
  chmodSync(dirname(path), 0o777);
  chmodSync(path, 0o444);
  const {DATABASE_URL} = config;
  for (const args of [['serve'], ['room', 'create', 'general']]) {
    const {code, stderr} = await unprivileged(args, {DATABASE_URL});
    t.is(code, 5, stderr);
    t.is(stderr.split('\n')[0], 'Error: The database cannot be written (SQLITE_READONLY).');
    t.notRegex(stderr, /\n\s+at /);
  }
  const doctor = await unprivileged(['doctor', '--only', 'write', '--json'], {DATABASE_URL});
  t.is(doctor.code, 8);
  t.is((await unprivileged(['room', 'list'], {DATABASE_URL})).code, 0);
});

test('a folder in which no lock can be made is not taken for another server', async t => {
  const dir = temporaryDir(t);
  writeFileSync(join(dir, 'not-a-folder'), '');
  await t.throwsAsync(claimFile(join(dir, 'not-a-folder', 'chat.db')), {
    code: 'database_unavailable',
    message: /The lock file .* cannot be written \(ENOTDIR\)/,
  });
});

test('what was read is not kept, however often a reading connection is asked', async t => {
  const {db} = await openTestChat(t, 'sqlite');
  const heap = () => {
    collectGarbage();
    return process.memoryUsage().heapUsed / 1_048_576;
  };
  const read = () => rows(db, 'select hex(randomblob(50000)) as text');
  await read();
  const before = heap();
  for (let i = 0; i < 1_500; i++) await read();
  const after = heap();
  t.true(after - before < 70, `${before} MB and then ${after} MB, where 1,500 texts have 143`);
});

test('what is asked of a connection that was closed is refused, each time', async t => {
  const {name} = await sqliteDriver();
  if (name !== 'sqlite3') return t.pass('another driver');
  const {SqliteClient} = await import('../../src/db/sqlite-client.ts');
  const client = new SqliteClient({connection: {filename: ':memory:'}, useNullAsDefault: true});
  const connection = await client.acquireRawConnection();
  t.deepEqual(await connection.ask('select 1 as n', []), [{n: 1}]);
  await client.destroyRawConnection(connection);
  for (let i = 0; i < 2; i++) await t.throwsAsync(connection.ask('select 1 as n', []), {code: 'SQLITE_MISUSE'});
});
