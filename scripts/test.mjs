// Runs the tests on SQLite and on a PostgreSQL of their own: npm test [-- files or flags of ava]
// They are compiled first, to test-build/: a process that loads TypeScript as it goes takes three times as long to start,
// and the tests start hundreds.
import {execFileSync, spawn} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {cpSync, existsSync, mkdtempSync, readdirSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join, resolve} from 'node:path';
import pg from 'pg';
import {startPostgres} from './postgres.mjs';

const out = 'test-build';

function compile() {
  // What was compiled from a file that is gone would still be run.
  const compiled = existsSync(join(out, 'test')) ? readdirSync(join(out, 'test'), {recursive: true}) : [];
  for (const path of compiled.filter(each => each.endsWith('.test.js'))) {
    if (!existsSync(join('test', path.replace(/\.js$/, '.ts')))) rmSync(join(out, 'test', path));
  }
  execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.test.json'], {stdio: 'inherit'});
  cpSync('test/helpers/tls', join(out, 'test/helpers/tls'), {recursive: true});
  cpSync('scripts/postgres.mjs', join(out, 'scripts/postgres.mjs'));
}

/** `test/cli/room.test.ts` is what one types, and the compiled file what ava runs. */
function toCompiled(arg) {
  return arg
    .replace(/^(?:\.\/)?(test\/.*)\.ts\b/, `${out}/$1.js`)
    .replace(/^(?:\.\/)?(test(?:\/[^.]*)?)$/, `${out}/$1`);
}

compile();
const env = {...process.env};
const postgres = env.TEST_DATABASE_URL ? undefined : await startPostgres();
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

const args = process.argv.slice(2).map(toCompiled);
const ava = spawn(process.execPath, ['node_modules/ava/entrypoints/cli.mjs', ...args], {env, stdio: 'inherit'});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => ava.kill(signal));
ava.on('exit', async (code, signal) => {
  await postgres?.stop?.();
  rmSync(templates, {recursive: true, force: true});
  process.exitCode = signal ? 1 : code;
});
