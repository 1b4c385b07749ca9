// A real Centrifugo for tests, where CENTRIFUGO_BIN or `centrifugo` on PATH names one.
import {spawn} from 'node:child_process';
import {existsSync, writeFileSync} from 'node:fs';
import {delimiter, join} from 'node:path';
import type {ExecutionContext} from 'ava';
import {freePort} from '../../scripts/free-port.mjs';
import {temporaryDir} from './database.ts';
import {until} from './until.ts';

function find(): string | undefined {
  const named = process.env['CENTRIFUGO_BIN'];
  if (named) return named;
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .map(dir => join(dir, 'centrifugo'))
    .find(path => existsSync(path));
}

/** The program, or undefined when there is none. */
export const centrifugoProgram = find();

export interface RealCentrifugo {
  url: string;
  realtimeUrl: string;
  stop(): Promise<void>;
}

/** Starts it with this configuration on a free port, or on the one given; it ends with the test. */
export async function startCentrifugo(
  t: ExecutionContext,
  config: object,
  env: Record<string, string>,
  port?: number,
): Promise<RealCentrifugo & {port: number}> {
  if (centrifugoProgram === undefined) throw new Error('there is no Centrifugo here');
  const chosen = port ?? (await freePort());
  const file = join(temporaryDir(t), 'centrifugo.json');
  writeFileSync(file, JSON.stringify(config));
  const child = spawn(centrifugoProgram, ['-c', file], {
    env: {
      ...env,
      PATH: process.env['PATH'],
      CENTRIFUGO_HTTP_SERVER_ADDRESS: '127.0.0.1',
      CENTRIFUGO_HTTP_SERVER_PORT: String(chosen),
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', chunk => {
    errors += String(chunk);
  });
  const ended = new Promise<void>(resolve => {
    child.once('exit', () => resolve());
  });
  const stop = async () => {
    child.kill('SIGTERM');
    const cut = setTimeout(() => child.kill('SIGKILL'), 3_000);
    await ended;
    clearTimeout(cut);
  };
  t.teardown(stop);
  const url = `http://127.0.0.1:${chosen}`;
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`centrifugo ended: ${errors}`);
    return (await fetch(`${url}/health`).catch(() => undefined))?.ok;
  }, 'Centrifugo to be healthy');
  return {port: chosen, url, realtimeUrl: `ws://127.0.0.1:${chosen}/connection/websocket`, stop};
}
