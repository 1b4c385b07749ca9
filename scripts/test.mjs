// Runs the tests on SQLite and on a PostgreSQL of their own: npm test [-- files or flags of ava]
// They are compiled first, to test-build/.
import {execFileSync, spawn} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join, resolve} from 'node:path';
import pg from 'pg';
import {compileTests} from './compile-tests.mjs';
import {startPostgres} from './postgres.mjs';

const out = 'test-build';

/** `test/cli/room.test.ts` is what one types, and the compiled file what ava runs. */
function toCompiled(arg) {
  return arg
    .replace(/^(?:\.\/)?(test\/.*)\.ts\b/, `${out}/$1.js`)
    .replace(/^(?:\.\/)?(test(?:\/[^.]*)?)$/, `${out}/$1`);
}

const args = process.argv.slice(2);
// Files that are named, and titles that are looked for, which begin with the file's name in a group.
const alone = args.some(arg => toCompiled(arg) !== arg || /^(?:-m|--match)\b/.test(arg));
const env = {...process.env};
const starting = env.TEST_DATABASE_URL ? undefined : startPostgres();
try {
  await compileTests(out, {inGroups: !alone});
} catch {
  // esbuild has said what is wrong, and where.
  await (await starting)?.stop?.();
  process.exit(1);
}
const postgres = await starting;
if (postgres?.url) env.TEST_DATABASE_URL = postgres.url;
if (postgres?.skipped) console.error(`\n!!! Tests on PostgreSQL are SKIPPED: ${postgres.skipped}.\n`);

const templates = mkdtempSync(join(tmpdir(), 'chatctl-templates-'));
await makeTemplates();

/** Databases with the newest schema, which tests copy: to open one takes some 20 ms of the processor, to migrate one 60. */
async function makeTemplates() {
  const migrate = DATABASE_URL =>
    execFileSync(process.execPath, [resolve(out, 'bin/chatctl.js'), 'migrate', 'up'], {
      cwd: templates,
      env: {
        PATH: env.PATH,
        ...(env.TEST_SQLITE_DRIVER && {SQLITE_DRIVER: env.TEST_SQLITE_DRIVER}),
        DATABASE_URL,
        JWT_SECRET: randomBytes(32).toString('hex'),
        CENTRIFUGO_TOKEN_SECRET: randomBytes(32).toString('hex'),
      },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  env.TEST_SQLITE_TEMPLATE = join(templates, 'chat.db');
  migrate(`sqlite:${env.TEST_SQLITE_TEMPLATE}`);
  // A server that was given keeps nothing of ours; one of our own is thrown away whole.
  if (!postgres?.url) return;
  env.TEST_POSTGRES_TEMPLATE = 'chatctl_template';
  const client = new pg.Client({connectionString: postgres.url});
  await client.connect();
  await client.query(`create database ${env.TEST_POSTGRES_TEMPLATE}`);
  await client.end();
  migrate(new URL(env.TEST_POSTGRES_TEMPLATE, postgres.url).href);
}

const ava = spawn(process.execPath, ['node_modules/ava/entrypoints/cli.mjs', ...args.map(toCompiled)], {
  env,
  stdio: 'inherit',
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => ava.kill(signal));
ava.on('exit', async (code, signal) => {
  await postgres?.stop?.();
  rmSync(templates, {recursive: true, force: true});
  process.exitCode = signal ? 1 : code;
});
