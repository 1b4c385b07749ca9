// A shell command beside ours: its output goes to stderr, since stdout is ours.
import {spawn} from 'node:child_process';
import {ChatError} from '../core/errors.ts';
import type {Io} from './io.ts';

export interface RunningCommand {
  /** Fulfilled at its end: with an error when it failed. */
  ended: Promise<ChatError | undefined>;
  /** Ends it with all that it started; does nothing when it has ended. */
  kill(): void;
}

export function startCommand({stderr, cwd, env}: Io, command: string): RunningCommand {
  // In a group of its own, so that what the shell started ends with it.
  const child = spawn(command, {shell: true, stdio: ['ignore', 'pipe', 'pipe'], cwd, env, detached: true});
  for (const stream of [child.stdout, child.stderr]) stream.pipe(stderr, {end: false});
  let running = true;
  const ended = new Promise<ChatError | undefined>(resolve => {
    child.once('error', cause => {
      running = false;
      resolve(new ChatError('internal', `The command of --exec cannot be started: ${command}`, {cause}));
    });
    child.once('exit', code => {
      running = false;
      const failure = `The command of --exec ended with ${code ?? 'a signal'}: ${command}`;
      resolve(code === 0 ? undefined : new ChatError('internal', failure));
    });
  });
  return {
    ended,
    kill() {
      if (running && child.pid !== undefined) process.kill(-child.pid, 'SIGTERM');
    },
  };
}
