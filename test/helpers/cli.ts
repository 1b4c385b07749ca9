import {spawn, type ChildProcess} from 'node:child_process';
import {once} from 'node:events';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {PassThrough, Readable} from 'node:stream';
import {fileURLToPath} from 'node:url';
import type {ExecutionContext} from 'ava';
import type {Io} from '../../src/cli/io.ts';
import {run} from '../../src/cli/run.ts';
import {startChat, type TestChat} from '../../src/testing.ts';
import {driver, testSecrets} from './chat.ts';
import {emptyDatabase, migratedDatabase, temporaryDir, type Database} from './database.ts';

/** The compiled sources, beside which the compiled tests lie. */
const root = fileURLToPath(new URL('../..', import.meta.url));

/** How a `chatctl` of these sources is started. */
export const fromSource = {flags: [], script: join(root, 'bin/chatctl.js')};

export interface Ended {
  code: number;
  stdout: string;
  stderr: string;
  /** What lies at `rooms.0.name` in the JSON document on stdout, or for `error.code` on stderr. */
  at(path: string): unknown;
}

export interface TestCli {
  /** Runs in this process, with streams of its own and nobody to ask. */
  (
    args: string[],
    more?: {
      stdin?: string | Buffer;
      env?: Record<string, string>;
      tty?: boolean;
      columns?: number;
      started?: Io['started'];
      onSignal?: Io['onSignal'];
    },
  ): Promise<Ended>;
  cwd: string;
  env: Record<string, string>;
}

/** A folder, an empty migrated database and secrets of the test's own. */
export async function testCli(t: ExecutionContext, database: Database): Promise<TestCli> {
  return cliOver(t, await migratedDatabase(t, database));
}

/** The same without migrations. */
export async function bareCli(t: ExecutionContext, database: Database): Promise<TestCli> {
  return cliOver(t, await emptyDatabase(t, database));
}

function cliOver(t: ExecutionContext, databaseUrl: string): TestCli {
  const cwd = temporaryDir(t);
  const env = {
    ...testSecrets,
    ...driver,
    DATABASE_URL: databaseUrl,
    PORT: '0',
    REALTIME_PORT: '0',
  };
  const call: (...all: Parameters<TestCli>) => Promise<Ended> = async (args, more = {}) => {
    const stdout = collector(more.tty, more.columns);
    const stderr = collector(more.tty);
    const code = await run(args, {
      stdin: Readable.from(more.stdin === undefined ? [] : [Buffer.from(more.stdin)]),
      stdout: stdout.stream,
      stderr: stderr.stream,
      env: {...env, ...more.env},
      cwd,
      started: more.started ?? {flags: [], script: 'chatctl'},
      onSignal: more.onSignal ?? (() => () => undefined),
    });
    return ended(code, stdout.text(), stderr.text());
  };
  return Object.assign(call, {cwd, env});
}

/** A command line and a chat over one database, with the same secrets; the server runs in this process. */
export async function cliBesideChat(t: ExecutionContext): Promise<{cli: TestCli; chat: TestChat}> {
  const cli = await bareCli(t, 'sqlite');
  const chat = await startChat({
    jwtSecret: testSecrets.JWT_SECRET,
    realtimeSecret: testSecrets.CENTRIFUGO_TOKEN_SECRET,
    ...(cli.env['DATABASE_URL'] && {databaseUrl: cli.env['DATABASE_URL']}),
    ...(driver.SQLITE_DRIVER && {sqliteDriver: 'node:sqlite'}),
  });
  t.teardown(() => chat.close());
  cli.env['CHATCTL_REALTIME_URL'] = chat.realtimeUrl;
  return {cli, chat};
}

function collector(tty = false, columns?: number): {stream: PassThrough & {isTTY?: boolean}; text(): string} {
  const chunks: Buffer[] = [];
  const stream: PassThrough & {isTTY?: boolean} = new PassThrough();
  if (tty) stream.isTTY = true;
  if (columns !== undefined) Object.assign(stream, {columns});
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  return {stream, text: () => Buffer.concat(chunks).toString()};
}

function ended(code: number, stdout: string, stderr: string): Ended {
  return {code, stdout, stderr, at: path => valueAt(path.startsWith('error.') ? stderr : stdout, path)};
}

function valueAt(text: string, path: string): unknown {
  const document: unknown = JSON.parse(text.split('\n')[0] ?? '');
  return path
    .split('.')
    .reduce<unknown>(
      (value, key) => (typeof value === 'object' && value ? Reflect.get(value, key) : undefined),
      document,
    );
}

export interface TestProcess {
  child: ChildProcess;
  /** The next line of stdout that holds this text. Rejects when there is none before the end. */
  line(holds: string): Promise<string>;
  ended: Promise<Ended>;
  /** Everything so far. */
  stdout(): string;
}

// Far above what it takes: on a machine that is busy with other things a start alone can take seconds.
const processLimitMs = 100_000;

/** A process of its own, killed when the test ends or takes too long. What it reads ends, unless whoever writes it goes on. */
export function startProcess(
  t: ExecutionContext,
  cli: TestCli,
  args: string[],
  stdin = '',
  {goesOn = false}: {goesOn?: boolean} = {},
): TestProcess {
  const child = spawn(process.execPath, [join(root, 'bin/chatctl.js'), ...args], {
    cwd: cli.cwd,
    env: {PATH: process.env['PATH'], ...cli.env},
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const limit = setTimeout(() => child.kill('SIGKILL'), processLimitMs);
  t.teardown(() => {
    clearTimeout(limit);
    child.kill('SIGKILL');
  });
  child.stdin.on('error', () => undefined);
  child.stdin.write(stdin);
  if (!goesOn) child.stdin.end();
  const output = {stdout: '', stderr: ''};
  const lines: string[] = [];
  const reader = createInterface({input: child.stdout});
  const wake: (() => void)[] = [];
  const changed = () => {
    for (const each of wake.splice(0)) each();
  };
  reader.on('line', line => {
    lines.push(line);
    changed();
  });
  child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk.toString()));
  let closed = false;
  reader.once('close', () => {
    closed = true;
    changed();
  });
  return {
    child,
    stdout: () => output.stdout,
    async line(holds) {
      for (let at = 0; ;) {
        for (; at < lines.length; at++) if (lines[at]?.includes(holds)) return lines[at] ?? '';
        if (closed) throw new Error(`no line with ${holds} in: ${output.stdout}${output.stderr}`);
        await new Promise<void>(resolve => wake.push(resolve));
      }
    },
    ended: once(child, 'close').then(([code, signal]) =>
      ended(typeof code === 'number' ? code : signal === 'SIGINT' ? 130 : 143, output.stdout, output.stderr),
    ),
  };
}

/** Runs in a process of its own to its end. */
export function runProcess(t: ExecutionContext, cli: TestCli, args: string[], stdin?: string): Promise<Ended> {
  return startProcess(t, cli, args, stdin).ended;
}
