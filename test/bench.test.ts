// The benchmark at its smallest: that it runs, stands its figures beside their limits, and sees what got worse. No figure
// means anything here.
import {execFile} from 'node:child_process';
import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import test from 'ava';
import {ratiosOf, table, worse, type Run} from '../scripts/bench/figures.ts';
import {databases, temporaryDir} from './helpers/database.ts';

const run = promisify(execFile);
const program = fileURLToPath(new URL('../scripts/bench/run.js', import.meta.url));

test('the benchmark prints its figures beside their limits and writes them down', async t => {
  const out = join(temporaryDir(t), 'bench.json');
  const url = process.env['TEST_DATABASE_URL'];
  const {stdout} = await run(
    process.execPath,
    [program, '--small', '--seconds', '0.05', '--only', 'posts,lists', '--out', out],
    {
      env: {PATH: process.env['PATH'], ...(url && {BENCH_DATABASE_URL: url})},
    },
  );
  const written = JSON.parse(readFileSync(out, 'utf8')) as Run;
  const wanted = ['posts on SQLite / bare Koa', 'a page deep down / near the newest, SQLite'];
  if (databases.includes('postgres'))
    wanted.push('posts on PostgreSQL / PostgreSQL alone', 'two processes / one, PostgreSQL');
  for (const each of wanted) {
    t.true(stdout.includes(each), `${each} in ${stdout}`);
    t.true(written.ratios.some(({what, value}) => what === each && value > 0));
  }
  const refused = Object.entries(written.results).flatMap(([name, figures]) =>
    Object.entries(figures).flatMap(([figure, value]) => (figure.endsWith('refused') && value !== 0 ? [name] : [])),
  );
  t.deepEqual(refused, []);
});

const results = {'bare Koa': {'requests/s': 1_000}, 'posts, SQLite': {'posts/s': 600, 'p50 ms': 4}};

test('a ratio says whether it reached what is wanted', t => {
  const at = (rate: number) => table(ratiosOf({...results, 'posts, SQLite': {'posts/s': rate}}));
  t.regex(at(600), /posts on SQLite \/ bare Koa +0\.60 +at least 0\.5 +reached/);
  t.regex(at(400), /posts on SQLite \/ bare Koa +0\.40 +at least 0\.5 +NOT REACHED/);
});

test('what got worse by more than the tolerance is named, in its own direction', t => {
  const runOf = (rate: number, ms: number): Run => {
    const all = {...results, 'posts, SQLite': {'posts/s': rate, 'p50 ms': ms}};
    return {machine: 'a', sizes: {}, results: all, ratios: ratiosOf(all)};
  };
  const before = runOf(600, 4);
  t.deepEqual(worse(before, runOf(590, 4.1), 0.1), []);
  t.deepEqual(worse(before, runOf(900, 2), 0.1), []);
  t.deepEqual(worse(before, runOf(500, 5), 0.1), [
    'posts on SQLite / bare Koa: 0.60 before, 0.50 now',
    'posts, SQLite: posts/s: 600 before, 500 now',
    'posts, SQLite: p50 ms: 4.00 before, 5.00 now',
  ]);
});

test('a size that is no number is refused', async t => {
  const out = join(temporaryDir(t), 'bench.json');
  writeFileSync(out, '{}');
  const args = [program, '--seconds', 'ten', '--out', out];
  await t.throwsAsync(run(process.execPath, args), {message: /--seconds must be a number above 0/});
});
