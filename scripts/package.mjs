// The packed tarball, installed into an empty folder, works: its command line, a server, and a smoke run against it.
import {execFileSync, spawn} from 'node:child_process';
import {cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join, resolve} from 'node:path';
import {createInterface} from 'node:readline';

const folder = mkdtempSync(join(tmpdir(), 'chatctl-package-'));
const quiet = {encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit']};

function npm(args, options) {
  return execFileSync('npm', ['--no-audit', '--no-fund', '--loglevel=error', ...args], {...quiet, ...options});
}

function chatctl(args, options) {
  return execFileSync(process.execPath, ['node_modules/chatctl/dist/bin/chatctl.js', ...args], {
    ...quiet,
    cwd: folder,
    ...options,
  });
}

function mustHold(condition, what) {
  if (!condition) throw new Error(`the package does not hold: ${what}`);
  console.log(`ok ${what}`);
}

/** The first line of the server's output that says it is ready. */
async function ready(server) {
  for await (const line of createInterface({input: server.stdout})) {
    const event = JSON.parse(line);
    if (event.type === 'ready') return event;
  }
  throw new Error('the server ended before it was ready');
}

try {
  execFileSync(process.execPath, ['node_modules/publint/src/cli.js', '--strict'], {stdio: 'inherit'});
  const [{filename, files}] = JSON.parse(npm(['pack', '--json', '--ignore-scripts', '--pack-destination', folder]));
  mustHold(!files.some(({path}) => /^(test|src|scripts)\//.test(path)), 'no sources or tests are in the tarball');

  writeFileSync(join(folder, 'package.json'), '{"private":true}');
  // Without install scripts, as npm 12 does it; the driver built for this checkout stands in for one built there.
  npm(['install', '--ignore-scripts', '--prefer-offline', join(folder, filename)], {cwd: folder});
  const built = resolve('node_modules/sqlite3/build');
  if (existsSync(built)) cpSync(built, join(folder, 'node_modules/sqlite3/build'), {recursive: true});

  const {version} = JSON.parse(readFileSync('package.json', 'utf8'));
  mustHold(chatctl(['--version']).trim() === version, 'chatctl --version');
  mustHold(chatctl(['--help']).includes('room'), 'chatctl --help');

  // The fixture, as a suite of somebody else's imports it: it works, and its types are there.
  const suite = `import {startChat, type MessageJson} from 'chatctl/testing';
const chat = await startChat();
const room = await chat.room({members: ['alice', 'bob']});
const posted: MessageJson = await chat.post('alice', room, 'hi');
const received = await chat.expect('bob', 'message_added', body => body.content === 'hi');
console.log(JSON.stringify(posted) === JSON.stringify(received));
// @ts-expect-error there is no such event
chat.expect('bob', 'message_lost').catch(() => undefined);
// @ts-expect-error an added message has no such field
received.colour;
await chat.close();
`;
  writeFileSync(join(folder, 'suite.mts'), suite);
  const tsc = resolve('node_modules/typescript/bin/tsc');
  const types = ['--strict', '--module', 'nodenext', '--target', 'es2023', '--types', 'node'];
  const roots = ['--typeRoots', resolve('node_modules/@types')];
  execFileSync(process.execPath, [tsc, ...types, ...roots, '--skipLibCheck', 'suite.mts'], {
    cwd: folder,
    stdio: 'inherit',
  });
  const said = execFileSync(process.execPath, ['suite.mjs'], {...quiet, cwd: folder, env: {}});
  mustHold(said === 'true\n', "chatctl/testing in somebody else's suite, with its types");

  const server = spawn(process.execPath, ['node_modules/chatctl/dist/bin/chatctl.js', 'dev', '--json'], {
    cwd: folder,
    env: {...process.env, PORT: '0', REALTIME_PORT: '0'},
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise(done => {
    server.once('exit', code => done(code));
  });
  try {
    await ready(server);
    mustHold(chatctl(['room', 'list', '-o', 'id']).trim() !== '', 'a room is there');
    mustHold(JSON.parse(chatctl(['smoke', '--json'])).ok === true, 'a smoke run against the installed server');
  } finally {
    server.kill('SIGINT');
    await ended;
  }
} finally {
  rmSync(folder, {recursive: true, force: true});
}
