import {execFile, spawn} from 'node:child_process';
import {promisify} from 'node:util';
import test from 'ava';
import {
  migrateDown,
  migrateUp,
  migrations,
  migrationStatus,
  mustBeMigrated,
  unlockMigrations,
} from '../../src/db/migrations.ts';
import {openDatabase} from '../../src/open.ts';
import {testConfig} from '../helpers/chat.ts';
import {databases} from '../helpers/database.ts';

const run = promisify(execFile);
const names = migrations.map(each => each.name);

for (const database of databases) {
  test(`${database}: migrations go up, one by one or all, and down again`, async t => {
    const db = await openDatabase(await testConfig(t, database), {migrate: true});
    t.teardown(() => db.close());
    t.deepEqual(await migrationStatus(db), {applied: [], pending: names, unknown: [], locked: false});
    await t.throwsAsync(mustBeMigrated(db), {code: 'migrations_pending', message: /0001-rooms/});
    t.deepEqual(await migrateUp(db, '0001'), ['0001-rooms']);
    t.deepEqual(await migrateUp(db), names.slice(1));
    t.deepEqual(await migrateUp(db), []);
    await t.notThrowsAsync(mustBeMigrated(db));
    t.deepEqual(await migrateDown(db), [names.at(-1)]);
    t.deepEqual(await migrateUp(db), [names.at(-1)]);
    t.deepEqual(await migrateDown(db, '0001'), names.slice(1).toReversed());
    await t.throwsAsync(migrateUp(db, 'nonsense'), {code: 'invalid_input'});
  });

  test(`${database}: a schema from a newer version is refused`, async t => {
    const db = await openDatabase(await testConfig(t, database), {migrate: true});
    t.teardown(() => db.close());
    await migrateUp(db);
    await db
      .writer('knex_migrations')
      .insert({name: '9999-future', batch: 9, migration_time: new Date().toISOString()});
    await t.throwsAsync(mustBeMigrated(db), {code: 'schema_newer', message: /9999-future/});
    await t.throwsAsync(migrateUp(db), {code: 'schema_newer'});
  });

  test(`${database}: Knex's own command line sees the same migrations`, async t => {
    const config = await testConfig(t, database);
    const db = await openDatabase(config, {migrate: true});
    await migrateUp(db);
    await db.close();
    const knex = ['--import', 'tsx', 'node_modules/knex/bin/cli.js', '--knexfile', 'knexfile.ts'];
    const {stdout} = await run(process.execPath, [...knex, 'migrate:status'], {
      env: {...process.env, DATABASE_URL: config.DATABASE_URL},
    });
    t.regex(stdout, new RegExp(`Found ${names.length} Completed Migration`));
    t.regex(stdout, /No Pending Migration/);
  });

  test(`${database}: two migrators at once leave one whole schema`, async t => {
    const config = await testConfig(t, database);
    const [one, two] = [await openDatabase(config, {migrate: true}), await openDatabase(config, {migrate: true})];
    t.teardown(() => Promise.all([one.close(), two.close()]));
    const applied = await Promise.all([migrateUp(one), migrateUp(two)]);
    t.deepEqual(
      applied.toSorted((a, b) => a.length - b.length),
      [[], names],
    );
    const {pending, locked} = await migrationStatus(one);
    t.deepEqual({pending, locked}, {pending: [], locked: false});
  });

  test(`${database}: a migration that is killed leaves nothing in the way of the next`, async t => {
    const config = await testConfig(t, database);
    const env = {...process.env, DATABASE_URL: config.DATABASE_URL};
    const ends: (string | number | null)[] = [];
    for (const delayMs of [150, 200, 250, 300, 350]) {
      const child = spawn(process.execPath, ['dist/bin/chatctl.js', 'migrate', 'up'], {env, stdio: 'ignore'});
      const timer = setTimeout(() => child.kill('SIGKILL'), delayMs);
      ends.push(await new Promise(resolve => child.once('exit', (code, signal) => resolve(signal ?? code))));
      clearTimeout(timer);
    }
    t.true(
      ends.every(each => each === 'SIGKILL' || each === 0),
      ends.join(),
    );
    const db = await openDatabase(config, {migrate: true});
    t.teardown(() => db.close());
    await migrateUp(db);
    await t.notThrowsAsync(mustBeMigrated(db));
    t.false((await migrationStatus(db)).locked);
  });

  test(`${database}: while Knex's own command line migrates chatctl does not`, async t => {
    const db = await openDatabase(await testConfig(t, database), {migrate: true});
    t.teardown(() => db.close());
    await migrateUp(db, '0001');
    await db.writer('knex_migrations_lock').update({is_locked: 1});
    await t.throwsAsync(migrateUp(db), {code: 'migration_locked', message: /Knex/});
    await unlockMigrations(db);
    t.deepEqual(await migrateUp(db), names.slice(1));
  });
}
