import {Writable} from 'node:stream';
import pino, {type Logger} from 'pino';
import {hideSecrets} from './core/redact.ts';

export type {Logger} from 'pino';

/** Log lines as NDJSON, or as readable lines for a person who watches. */
export function createLog(level: string, destination: 'stdout' | 'stderr', pretty = false): Logger {
  const stream = destination === 'stdout' ? process.stdout : process.stderr;
  return pino({level, base: null}, pretty ? withoutSecrets(readable(stream)) : onceATurn(withoutSecrets(stream)));
}

interface Target {
  write(line: string): unknown;
}

/**
 * Lines of one turn of the event loop go out together, because each write is a call of the system and under load there are
 * many. A process that ends by itself or by an error writes what it has; one that is killed keeps back one turn at most.
 */
export function onceATurn(target: Target): Target {
  let lines = '';
  function flush(): void {
    process.off('exit', flush);
    const text = lines;
    lines = '';
    if (text !== '') target.write(text);
  }
  return {
    write(line) {
      if (lines === '') {
        setImmediate(flush);
        process.once('exit', flush);
      }
      lines += line;
    },
  };
}

/** The whole line is looked at, so that a secret is found wherever it hangs. */
export function withoutSecrets(target: Target): Target {
  return {
    write(line) {
      target.write(hideSecrets(line));
    },
  };
}

const levels: Record<number, string> = {10: 'trace', 20: 'debug', 30: 'info', 40: 'warn', 50: 'error', 60: 'fatal'};

function readable(target: NodeJS.WritableStream): Writable {
  return new Writable({
    write(line: Buffer, _encoding, done) {
      const {level, time, msg, ...rest} = JSON.parse(line.toString()) as {level: number; time: number; msg?: string};
      const more = Object.keys(rest).length > 0 ? ` ${JSON.stringify(rest)}` : '';
      target.write(`${new Date(time).toISOString().slice(11, 19)} ${levels[level] ?? level} ${msg ?? ''}${more}\n`);
      done();
    },
  });
}

const minuteMs = 60_000;

/** Says it at once, and then not again for a minute, however often it happens. */
export function onceAMinute(say: () => void): () => void {
  let said = -Infinity;
  return () => {
    if (performance.now() - said < minuteMs) return;
    said = performance.now();
    say();
  };
}
