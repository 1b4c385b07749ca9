// A real Centrifugo beside a benchmark, where CENTRIFUGO_BIN or `centrifugo` on PATH names one.
import {spawn, spawnSync} from 'node:child_process';
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {centrifugoConfig} from '../../src/core/centrifugo-config.ts';
import {secrets} from './setup.ts';

const named = process.env['CENTRIFUGO_BIN'] ?? 'centrifugo';
export const centrifugo: string | undefined = spawnSync(named, ['version']).status === 0 ? named : undefined;

export interface BenchCentrifugo {
  realtimeUrl: string;
  stop(): Promise<void>;
}

export async function startCentrifugo(folder: string, port: number): Promise<BenchCentrifugo> {
  if (centrifugo === undefined) throw new Error('there is no Centrifugo here');
  const file = join(folder, 'centrifugo.json');
  writeFileSync(file, JSON.stringify(centrifugoConfig({port, allowedOrigins: []})));
  const child = spawn(centrifugo, ['-c', file], {
    env: {
      CENTRIFUGO_HTTP_SERVER_ADDRESS: '127.0.0.1',
      CENTRIFUGO_CLIENT_TOKEN_HMAC_SECRET_KEY: secrets.CENTRIFUGO_TOKEN_SECRET,
      CENTRIFUGO_HTTP_API_KEY: secrets.CENTRIFUGO_API_KEY,
    },
    stdio: 'ignore',
  });
  const ended = new Promise<void>(resolve => {
    child.once('exit', () => resolve());
  });
  for (let tries = 0; tries < 500; tries++) {
    const healthy = await fetch(`http://127.0.0.1:${port}/health`).then(
      answer => answer.ok,
      () => false,
    );
    if (healthy) break;
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  return {
    realtimeUrl: `ws://127.0.0.1:${port}/connection/websocket`,
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}
