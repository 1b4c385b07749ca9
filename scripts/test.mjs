// Runs the tests on SQLite and on a PostgreSQL of their own: npm test [-- files or flags of ava]
import {spawn} from 'node:child_process';
import {startPostgres} from './postgres.mjs';

const env = {...process.env};
const postgres = env.TEST_DATABASE_URL ? undefined : await startPostgres();
if (postgres?.url) env.TEST_DATABASE_URL = postgres.url;
if (postgres?.skipped) console.error(`\n!!! Tests on PostgreSQL are SKIPPED: ${postgres.skipped}.\n`);

const ava = spawn(process.execPath, ['node_modules/ava/entrypoints/cli.mjs', ...process.argv.slice(2)], {
  env,
  stdio: 'inherit',
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => ava.kill(signal));
ava.on('exit', async (code, signal) => {
  await postgres?.stop?.();
  process.exitCode = signal ? 1 : code;
});
