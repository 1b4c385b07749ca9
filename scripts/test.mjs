// Runs the tests on SQLite and on a PostgreSQL of their own: npm test [-- files or flags of ava]
// They are compiled first, to test-build/: a process that loads TypeScript as it goes takes three times as long to start,
// and the tests start hundreds.
import {execFileSync, spawn} from 'node:child_process';
import {cpSync, existsSync, readdirSync, rmSync} from 'node:fs';
import {join} from 'node:path';
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

const args = process.argv.slice(2).map(toCompiled);
const ava = spawn(process.execPath, ['node_modules/ava/entrypoints/cli.mjs', ...args], {env, stdio: 'inherit'});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => ava.kill(signal));
ava.on('exit', async (code, signal) => {
  await postgres?.stop?.();
  process.exitCode = signal ? 1 : code;
});
