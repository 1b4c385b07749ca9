// Servers and rooms for a benchmark, in a temporary folder.
import {fork} from 'node:child_process';
import {closeSync, mkdtempSync, openSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {SettingName} from '../../src/settings.ts';
import {mintApiToken} from '../../src/core/tokens.ts';

export const secrets = {
  JWT_SECRET: 'bench-api-secret-0123456789-0123456789',
  CENTRIFUGO_TOKEN_SECRET: 'bench-centrifugo-secret-0123456789-01',
  CENTRIFUGO_API_KEY: 'bench-centrifugo-key',
};

export interface BenchServer {
  apiUrl: string;
  realtimeUrl: string;
  pid: number;
  stop(): Promise<void>;
}

export function temporaryFolder(): {path: string; remove(): void} {
  const path = mkdtempSync(join(tmpdir(), 'chatctl-bench-'));
  return {path, remove: () => rmSync(path, {recursive: true, force: true})};
}

/**
 * The built server in a process of its own, as in production, so that load and server do not share an event loop. It
 * logs into a file, as production does: whoever measured would otherwise spend its time on reading that.
 */
export async function startBenchServer(env: Partial<Record<SettingName, string>>): Promise<BenchServer> {
  const folder = temporaryFolder();
  const logFile = join(folder.path, 'log');
  const log = openSync(logFile, 'w');
  const child = fork('dist/bin/chatctl.js', ['serve', '--migrate'], {
    env: {
      PATH: process.env['PATH'],
      NODE_ENV: 'production',
      ...secrets,
      PORT: '0',
      REALTIME_PORT: '0',
      // The load has one address.
      REALTIME_MAX_ADDRESS_CONNECTIONS: '1000000',
      LOG_LEVEL: 'info',
      METRICS_KEY: metricsKey,
      CHATCTL_CONFIG: '',
      // A few users ask for all of it.
      RATE_LIMITS: 'off',
      ...env,
    },
    execArgv: process.env['BENCH_NODE_OPTIONS']?.split(' ') ?? [],
    stdio: ['ignore', log, 'inherit', 'ipc'],
  });
  closeSync(log);
  let over = false;
  const ended = new Promise<void>(resolve => {
    child.once('exit', () => {
      over = true;
      resolve();
    });
  });
  const started = await logLine(logFile, 'chatctl serves', () => over);
  return {
    apiUrl: String(started['api']),
    realtimeUrl: typeof started['realtime_url'] === 'string' ? started['realtime_url'] : '',
    pid: child.pid ?? 0,
    async stop() {
      child.kill('SIGTERM');
      await ended;
      folder.remove();
    },
  };
}

async function logLine(file: string, message: string, over: () => boolean): Promise<Record<string, unknown>> {
  for (;;) {
    const text = readFileSync(file, 'utf8');
    const line = text.split('\n').find(each => each.includes(message));
    if (line) return JSON.parse(line) as Record<string, unknown>;
    if (over()) throw new Error(`the server ended: ${text}`);
    await new Promise(resolve => setTimeout(resolve, 10));
  }
}

const metricsKey = 'bench-metrics-key-0123456789-0123456789';

/** Numbers of GET /metrics by name. */
export async function metricsOf(apiUrl: string): Promise<Map<string, number>> {
  const answer = await fetch(`${apiUrl}/metrics`, {headers: {authorization: `Bearer ${metricsKey}`}});
  const lines = (await answer.text()).split('\n').filter(line => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map(line => {
      const space = line.lastIndexOf(' ');
      return [line.slice(0, space), Number(line.slice(space + 1))];
    }),
  );
}

export function residentMegabytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1_024;
}

/** Processor time that a process has used, which tells on a busy machine what a rate does not. */
export function processorSeconds(pid: number): number {
  // Behind the name, which may hold spaces: the 14th and 15th field of all, in hundredths.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

export function userToken(user: string, claims: Record<string, unknown> = {}): string {
  return mintApiToken(secrets.JWT_SECRET, {sub: user, ...claims}, 86_400, Math.floor(Date.now() / 1_000)).token;
}

export const serviceToken = () => userToken('bench', {scope: 'chat:admin'});

export async function createRoom(apiUrl: string, members: readonly string[]): Promise<number> {
  const answer = await fetch(`${apiUrl}/api/rooms/`, {
    method: 'POST',
    headers: {authorization: `Bearer ${serviceToken()}`, 'content-type': 'application/json'},
    body: JSON.stringify({name: 'bench', members: members.slice(0, 10_000)}),
  });
  const {id} = (await answer.json()) as {id: number};
  for (let at = 10_000; at < members.length; at += 10_000) {
    await fetch(`${apiUrl}/api/rooms/${id}/members/`, {
      method: 'POST',
      headers: {authorization: `Bearer ${serviceToken()}`, 'content-type': 'application/json'},
      body: JSON.stringify({add: members.slice(at, at + 10_000)}),
    });
  }
  return id;
}
