// Programs that stand beside the servers, each a process of its own.
import {fork} from 'node:child_process';
import {extname} from 'node:path';
import {fileURLToPath} from 'node:url';
import {secrets} from './setup.ts';

export interface Program {
  port: number;
  url: string;
  pid: number;
  stop(): Promise<void>;
}

/** Bare Koa, or a broker: fulfilled once it listens. */
export async function startProgram(name: 'koa' | 'broker'): Promise<Program> {
  // Compiled in tests, and loaded through tsx, as we are, in a run of the script.
  const program = new URL(`programs/${name}${extname(import.meta.url)}`, import.meta.url);
  const child = fork(fileURLToPath(program), {
    env: {PATH: process.env['PATH'], NODE_ENV: 'production', ...secrets},
  });
  const ended = new Promise<void>(resolve => {
    child.once('exit', () => resolve());
  });
  const {port} = await new Promise<{port: number}>((resolve, reject) => {
    child.once('message', message => resolve(message as {port: number}));
    child.once('exit', code => reject(new Error(`${name} ended with ${code}`)));
  });
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    pid: child.pid ?? 0,
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}
