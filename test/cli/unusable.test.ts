// C10, G2, G3, G10: databases and ports that cannot be used. Each is told in a line with the next step, by a command as by a
// server, and no password is in it.
import {symlinkSync, writeFileSync} from 'node:fs';
import {createServer, type AddressInfo} from 'node:net';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {nameOf} from '../../src/cli/target.ts';
import {loadConfig} from '../../src/config.ts';
import {openDatabase} from '../../src/open.ts';
import {bareCli, testCli, type TestCli} from '../helpers/cli.ts';
import {databases, temporaryDir} from '../helpers/database.ts';

const lines = [['room', 'list'], ['migrate', 'up'], ['serve']];

async function mustEnd(t: ExecutionContext, cli: TestCli, url: string, code: number, says: RegExp): Promise<void> {
  for (const line of lines) {
    const ended = await cli(line, {env: {DATABASE_URL: url}});
    const what = `${line.join(' ')}: ${ended.stderr}`;
    t.is(ended.code, code, what);
    t.is(ended.stdout, '', what);
    t.regex(ended.stderr, says, what);
    t.notRegex(ended.stderr, /CANARY|\n\s+at /, what);
  }
}

const addresses: Record<string, string> = {
  'another kind of database': 'mysql://chat:CANARY@host/chat',
  'a page of the web': 'https://chat:CANARY@host/chat',
  'no path': 'sqlite:',
  'no address': '://CANARY',
  'a path without a scheme': 'CANARY.db',
  'a port beyond all ports': 'postgres://chat:CANARY@host:99999/chat',
  'a password with / in it': 'postgres://chat:CANARY/x@host/chat',
  'a password with # in it': 'postgres://chat:CANARY#x@host/chat',
};
for (const [title, url] of Object.entries(addresses)) {
  test(`G3: an address of a database that is ${title} ends with 2`, async t => {
    await mustEnd(t, await bareCli(t, 'sqlite'), url, 2, /^Error: The address of the database .*\n.*%40 for @\.\n$/);
  });
}

test('G3: a password may have @ in it all the same, since the last one counts', async t => {
  const cli = await bareCli(t, 'sqlite');
  await mustEnd(t, cli, 'postgres://chat:CANARY@x@127.0.0.1:1/chat', 5, /postgres 127\.0\.0\.1:1\/chat/);
});

/** Makes the file in this folder and answers its path. */
const files: Record<string, [make: (dir: string) => string, says: RegExp]> = {
  'a folder': [dir => dir, /is a directory/],
  'a link to nowhere': [
    dir => {
      symlinkSync(join(dir, 'nowhere'), join(dir, 'link.db'));
      return join(dir, 'link.db');
    },
    /cannot be made|There is no database|cannot be opened/,
  ],
  'no database': [
    dir => {
      writeFileSync(join(dir, 'text.db'), 'This is a letter, and no database of SQLite. '.repeat(50));
      return join(dir, 'text.db');
    },
    /file is not a database/,
  ],
  'in a folder that is not there': [
    dir => {
      writeFileSync(join(dir, 'file'), '');
      return join(dir, 'file', 'chat.db');
    },
    /cannot be made|There is no database|cannot be opened/,
  ],
};
for (const [title, [make, says]] of Object.entries(files)) {
  test(`C10, G10: a path of a database that is ${title} ends with 5`, async t => {
    await mustEnd(t, await bareCli(t, 'sqlite'), `sqlite:${make(temporaryDir(t))}`, 5, says);
  });
}

for (const database of databases) {
  test(`${database}: C10: a database without a schema, and one of a newer version, are not used`, async t => {
    const bare = await bareCli(t, database);
    const missing = await bare(['room', 'list', '--json']);
    t.true([4, 5].includes(missing.code), missing.stderr);
    t.regex(missing.stderr, /chatctl migrate up/);

    const cli = await testCli(t, database);
    const db = await openDatabase(loadConfig({env: cli.env, cwd: cli.cwd}));
    t.teardown(() => db.close());
    const future = {name: '9999-future', batch: 9, migration_time: new Date().toISOString()};
    await db.writer('knex_migrations').insert(future);
    for (const line of [
      ...lines,
      ['migrate', 'down', '--dry-run'],
      ['migrate', 'down', '--confirm', nameOf(db.target)],
    ]) {
      const {code, stderr, stdout} = await cli(line);
      t.is(code, 4, `${line.join(' ')}: ${stderr}`);
      t.is(stdout, '');
      t.regex(stderr, /9999-future/);
    }
  });
}

test('C10: a database that another program holds ends with 5, once it was waited for', async t => {
  const cli = await testCli(t, 'sqlite');
  const db = await openDatabase(loadConfig({env: cli.env, cwd: cli.cwd}));
  await db.writer.raw('begin immediate');
  const {code, stderr} = await cli(['room', 'create', 'general']);
  await db.writer.raw('rollback');
  await db.close();
  t.is(code, 5, stderr);
  t.regex(stderr, /^Error: Another process has been writing to the database for 10 seconds\./);
  t.is((await cli(['room', 'create', 'general'])).code, 0);
});

for (const name of ['PORT', 'REALTIME_PORT']) {
  test(`G2: a ${name} that another program has is not taken from it`, async t => {
    const other = createServer();
    await new Promise<void>(resolve => other.listen(0, '127.0.0.1', resolve));
    t.teardown(() => other.close());
    const {port} = other.address() as AddressInfo;
    const cli = await testCli(t, 'sqlite');
    const {code, stderr} = await cli(['serve'], {env: {[name]: String(port)}});
    t.is(code, 4, stderr);
    t.regex(stderr, new RegExp(`^Error: Port ${port} is taken by another program\\.\n`));
  });
}
