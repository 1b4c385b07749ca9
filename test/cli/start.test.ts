// How fast the built package answers. What is loaded is exact; times are held with room, as machines are busy.
import {spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {mkdirSync, readdirSync, readFileSync} from 'node:fs';
import {createServer, type AddressInfo} from 'node:net';
import {join, resolve} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {startProcess, type TestCli} from '../helpers/cli.ts';
import {seededCli} from '../helpers/seeded.ts';

const program = resolve('dist/bin/chatctl.js');

/** The packages that a run loads; one that serves is ended when it says so. */
async function loaded(cli: TestCli, args: string[]): Promise<Set<string>> {
  const folder = join(cli.cwd, 'coverage');
  mkdirSync(folder, {recursive: true});
  const child = spawn(process.execPath, [program, ...args], {
    cwd: cli.cwd,
    env: {PATH: process.env['PATH'], ...cli.env, NODE_V8_COVERAGE: folder},
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = {stdout: '', stderr: ''};
  child.stdout.on('data', (chunk: Buffer) => {
    output.stdout += chunk.toString();
    // A second signal would end it without its coverage.
    if (!child.killed && /"type":"ready"|chatctl serves/.test(output.stdout)) child.kill('SIGTERM');
  });
  child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0 && code !== 143) throw new Error(output.stderr);
  const files = readdirSync(folder).map(name => readFileSync(join(folder, name), 'utf8'));
  const urls = files.flatMap(text => (JSON.parse(text) as {result: {url: string}[]}).result.map(each => each.url));
  return new Set(urls.flatMap(url => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1] ?? []));
}

const heavy =
  'knex pg sqlite3 zod koa inquirer ws undici pino jsonwebtoken jose prom-client csv-parse rate-limiter-flexible string-width'.split(
    ' ',
  );
const ofServer = 'knex sqlite3 zod koa ws pino jsonwebtoken rate-limiter-flexible'.split(' ');

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
  ['a check', ['doctor', '--only', 'node'], ['zod']],
  ['a server for development', ['dev', '--json'], [...ofServer, 'string-width']],
  ['a server', ['serve'], ofServer],
];

for (const [what, args, may] of allowed) {
  test(`${what} loads ${may.join(', ') || 'none'} of the heavy packages`, async t => {
    const cli = await seededCli(t);
    const packages = await loaded(cli, args);
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

/** Takes connections and answers nothing. */
async function silentServer(t: ExecutionContext): Promise<string> {
  const server = createServer(socket => t.teardown(() => socket.destroy()));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('a server says that it starts, and on what, before the database has answered', async t => {
  const cli = await seededCli(t);
  cli.env['DATABASE_URL'] = `postgres://chat@${await silentServer(t)}/chat`;
  const line = JSON.parse(await startProcess(t, cli, ['serve']).line('"starting"')) as Record<string, unknown>;
  t.regex(String(line['database']), /^postgres 127\.0\.0\.1:\d+\/chat$/);
});

test('dev says on stderr what it starts on, and nothing with --quiet', async t => {
  const cli = await seededCli(t);
  const stderrOf = async (...flags: string[]) => {
    const server = startProcess(t, cli, ['dev', '--json', ...flags]);
    await server.line('"ready"');
    server.child.kill('SIGINT');
    return (await server.ended).stderr;
  };
  t.is(await stderrOf('--quiet'), '');
  t.regex(await stderrOf(), /^Starting on sqlite \/.*chat\.db …\n/);
});

test('doctor tells of a check in a script before the checks after it, which may wait', async t => {
  const cli = await seededCli(t);
  cli.env['CENTRIFUGO_API_URL'] = `http://${await silentServer(t)}`;
  cli.env['CENTRIFUGO_API_KEY'] = 'key-of-the-silent-0123456789-0123456789';
  const checking = startProcess(t, cli, ['doctor', '--only', 'node,broker']);
  await checking.line('node\tok');
  t.notRegex(checking.stdout(), /broker/);
});

/** Milliseconds from the last that was told to the end. */
const tellLeft = `data:text/javascript,const {stderr}=process,write=stderr.write.bind(stderr);let at=0;stderr.write=text=>{at=performance.now();return write(text)};process.on('exit',()=>write('left '+Math.round(performance.now()-at)))`;

test('a command that found nobody to listen to is done at once, and does not wait for the time it would have given', t => {
  const args = ['listen', 'bob', '--realtime-url', 'ws://127.0.0.1:1/connection/websocket'];
  const {status, stderr} = spawnSync(process.execPath, ['--import', tellLeft, program, ...args], {
    env: {PATH: process.env['PATH'], JWT_SECRET: 'a-secret', CENTRIFUGO_TOKEN_SECRET: 'another-secret'},
    encoding: 'utf8',
  });
  t.is(status, 5, stderr);
  const [, left] = /cannot be reached[^]*left (\d+)$/.exec(stderr) ?? [];
  t.true(Number(left) < 5_000, stderr);
});
