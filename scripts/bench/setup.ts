// Servers and rooms for a benchmark, in a temporary folder.
import {fork, type ChildProcess} from 'node:child_process';
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {SettingName} from '../../src/config.ts';
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

/** The built server in a process of its own, as in production, so that load and server do not share an event loop. */
export async function startBenchServer(env: Partial<Record<SettingName, string>>): Promise<BenchServer> {
  const child = fork('dist/bin/chatctl.js', ['serve', '--migrate'], {
    env: {
      PATH: process.env['PATH'],
      ...secrets,
      PORT: '0',
      REALTIME_PORT: '0',
      LOG_LEVEL: 'info',
      CHATCTL_CONFIG: '',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  const started = await firstLog(child, 'chatctl serves');
  const ended = new Promise<void>(resolve => {
    child.once('exit', () => resolve());
  });
  return {
    apiUrl: String(started['api']),
    realtimeUrl: typeof started['realtime_url'] === 'string' ? started['realtime_url'] : '',
    pid: child.pid ?? 0,
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

function firstLog(child: ChildProcess, message: string): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    let text = '';
    child.once('exit', code => reject(new Error(`the server ended with ${code}: ${text}`)));
    child.stdout?.on('data', (chunk: Buffer) => {
      if (text.includes(message)) return;
      text += chunk.toString();
      const line = text.split('\n').find(each => each.includes(message));
      if (line) resolve(JSON.parse(line) as Record<string, unknown>);
    });
  });
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
