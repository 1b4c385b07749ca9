// What commands that follow something have in common: they end by time, by a signal or with their reader, and for a
// program their first line is `ready` and their last one `end`.
import {setTimeout as delay} from 'node:timers/promises';
import type {Cli} from './context.ts';
import {Exit, exits} from './exit.ts';
import {isJson} from './output.ts';

export interface Following {
  /** A line of NDJSON for a program; for a person the text, where there is one. */
  tell(record: object, text?: string): void;
  /** The first end counts. */
  end(reason: string, code: number): void;
  over(): boolean;
  /** Ends sooner when it is over. */
  pause(ms: number): Promise<void>;
  /** Tells the last line with what was counted, and ends the command with the code. */
  finish(counts: object): void;
  close(): void;
}

/** `timeoutCode` is what --timeout ends with: whether something was waited for, only the command knows. */
export function startFollowing(cli: Cli, options: {for?: number | undefined; timeoutCode: number}): Following {
  const {io} = cli;
  const stop = new AbortController();
  let ended: {reason: string; code: number} | undefined;

  function end(reason: string, code: number): void {
    ended ??= {reason, code};
    stop.abort();
  }

  function tell(record: object, text?: string): void {
    if (isJson(cli.format)) cli.line(record);
    else if (text !== undefined) io.stdout.write(`${text}\n`);
  }

  const after = (ms: number | undefined, reason: string, code: number) =>
    ms === undefined ? undefined : setTimeout(() => end(reason, code), ms);
  const timers = [after(options.for, 'for', exits.ok), after(cli.globals.timeout, 'timeout', options.timeoutCode)];
  const onGone = () => end('closed', exits.ok);
  io.stdout.once('error', onGone);
  const offSignals = [
    io.onSignal('SIGINT', () => end('signal', exits.interrupted)),
    io.onSignal('SIGTERM', () => end('signal', exits.terminated)),
  ];

  return {
    tell,
    end,
    over: () => ended !== undefined,
    pause: ms => delay(ms, undefined, {signal: stop.signal}).catch(() => undefined),
    finish(counts) {
      const {reason, code} = ended ?? {reason: 'closed', code: exits.ok};
      tell({type: 'end', reason, ...counts, exit_code: code});
      if (code !== exits.ok) throw new Exit(code);
    },
    close() {
      for (const timer of timers) clearTimeout(timer);
      for (const off of offSignals) off();
      io.stdout.off('error', onGone);
    },
  };
}
