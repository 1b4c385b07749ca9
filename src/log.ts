import {Writable} from 'node:stream';
import pino, {type Logger} from 'pino';

export type {Logger} from 'pino';

/** What must not be in a log, whatever object it hangs on. */
const redacted = ['authorization', 'cookie', 'token', 'password', 'secret', 'apiKey', '["x-api-key"]'].flatMap(key => [
  key.startsWith('[') ? key : key,
  key.startsWith('[') ? `*${key}` : `*.${key}`,
]);

/** Log lines as NDJSON, or as readable lines for a person who watches. */
export function createLog(level: string, destination: 'stdout' | 'stderr', pretty = false): Logger {
  const stream = destination === 'stdout' ? process.stdout : process.stderr;
  const options = {level, redact: {paths: redacted, censor: '[secret]'}, base: null};
  return pino(options, pretty ? readable(stream) : stream);
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
