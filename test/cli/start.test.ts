// How fast the built package answers. What is loaded is exact; times are held with room, as machines are busy.
import {spawnSync} from 'node:child_process';
import {mkdirSync, readdirSync, readFileSync} from 'node:fs';
import {join, resolve} from 'node:path';
import test from 'ava';
import type {TestCli} from '../helpers/cli.ts';
import {seededCli} from '../helpers/seeded.ts';

const program = resolve('dist/bin/chatctl.js');

/** The packages that a run loads. */
function loaded(cli: TestCli, args: string[]): Set<string> {
  const folder = join(cli.cwd, 'coverage');
  mkdirSync(folder, {recursive: true});
  const {status, stderr} = spawnSync(process.execPath, [program, ...args], {
    cwd: cli.cwd,
    env: {PATH: process.env['PATH'], ...cli.env, NODE_V8_COVERAGE: folder},
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  const files = readdirSync(folder).map(name => readFileSync(join(folder, name), 'utf8'));
  const urls = files.flatMap(text => (JSON.parse(text) as {result: {url: string}[]}).result.map(each => each.url));
  return new Set(urls.flatMap(url => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1] ?? []));
}

const heavy = 'knex pg sqlite3 zod koa inquirer ws undici pino jsonwebtoken jose'.split(' ');

const allowed: [string, string[], string[]][] = [
  ['help', ['--help'], []],
  ['a topic', ['help', 'cheat'], []],
  ['the reference', ['docs', '--format', 'json'], []],
  ['a completion script', ['completion', 'bash'], []],
  ['completion of words', ['__complete', 'room', ''], []],
  ['completion of names', ['__complete', 'room', 'show', 'g'], ['sqlite3', 'zod']],
  ['the settings', ['config', 'show'], ['zod']],
  ['a token', ['token', 'jwt', 'alice'], ['zod', 'jsonwebtoken']],
  ['the steps of a smoke run', ['smoke', '--list'], ['zod', 'jsonwebtoken']],
  ['a list of rooms', ['room', 'list'], ['knex', 'sqlite3', 'zod']],
];

for (const [what, args, may] of allowed) {
  test(`${what} loads ${may.join(', ') || 'none'} of the heavy packages`, async t => {
    const cli = await seededCli(t);
    const packages = loaded(cli, args);
    t.deepEqual(
      heavy.filter(name => packages.has(name) && !may.includes(name)),
      [],
    );
  });
}

const tellTime = `data:text/javascript,process.on('exit',()=>{const {user,system}=process.cpuUsage();process.stderr.write('\\ncpu '+(user+system))})`;

/**
 * Milliseconds of work until the end, the best of three, or the first that is good enough: what else the machine does is
 * not in it, but for its caches.
 */
function work(cli: TestCli, args: string[], enough = 0): number {
  let best = Infinity;
  for (let run = 0; run < 3 && best >= enough; run++) {
    const {stderr} = spawnSync(process.execPath, ['--import', tellTime, ...args], {
      cwd: cli.cwd,
      env: {PATH: process.env['PATH'], ...cli.env},
      encoding: 'utf8',
    });
    best = Math.min(best, Number(/cpu (\d+)$/.exec(stderr)?.[1]) / 1_000);
  }
  return best;
}

/** What Node alone takes on a machine that does nothing else, and how much more than that is still taken for good. */
const nodeMs = 60;
const room = 3;

const limits: [number, string[]][] = [
  [200, ['--help']],
  [200, ['__complete', 'room', 'show', 'g']],
  [500, ['room', 'list']],
  [500, ['message', 'list', 'general']],
  [500, ['room', 'rename', 'general', 'lobby']],
  [500, ['status']],
  [500, ['config', 'show']],
  [500, ['token', 'jwt', 'alice']],
];

test('commands are done within 0.5 s of work, completion and help within 0.2 s, where Node itself takes 60 ms', async t => {
  const cli = await seededCli(t);
  const node = work(cli, ['-e', '0']);
  const slower = Math.max(1, node / nodeMs) * room;
  for (const [ms, args] of limits) {
    const took = work(cli, [program, ...args], ms * slower);
    t.log(`${args.join(' ')}: ${Math.round(took)} ms, Node alone ${Math.round(node)} ms`);
    t.true(took < ms * slower, args.join(' '));
  }
});

test('what takes a while to load says at a terminal what it does, and in a script nothing', async t => {
  const cli = await seededCli(t);
  t.regex((await cli(['doctor', '--only', 'node'], {tty: true})).stderr, /^Checking …\n/);
  t.is((await cli(['doctor', '--only', 'node', '-q'], {tty: true})).stderr, '');
  t.is((await cli(['doctor', '--only', 'node'])).stderr, '');
});
