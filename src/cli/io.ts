// The world outside of a command: handed in, so that tests hand in their own.
import type {Readable, Writable} from 'node:stream';
import {ChatError} from '../core/errors.ts';

export type Signal = 'SIGINT' | 'SIGTERM';

export interface Io {
  stdin: Readable & {isTTY?: boolean};
  stdout: Writable & {isTTY?: boolean; columns?: number};
  stderr: Writable & {isTTY?: boolean; columns?: number};
  env: Record<string, string | undefined>;
  cwd: string;
  /** What was typed to start this: node's own flags, and the script. */
  started: {flags: readonly string[]; script: string};
  /** Calls the listener at the signal instead of ending the process. Answers how to take it back. */
  onSignal(signal: Signal, listener: () => void): () => void;
}

export type ColorWish = 'auto' | 'always' | 'never';

/** Whether to colour what goes to this stream. The one place that decides. */
function useColor(io: Io, stream: {isTTY?: boolean}, wish: ColorWish): boolean {
  const {env} = io;
  if (wish !== 'auto') return wish === 'always';
  if (env['NO_COLOR']) return false;
  if (isOn(env['FORCE_COLOR']) || isOn(env['CLICOLOR_FORCE'])) return true;
  return stream.isTTY === true && env['TERM'] !== 'dumb';
}

/** Decided once for a run, and handed to whatever writes. */
export interface Colors {
  stdout: boolean;
  stderr: boolean;
}

export function colorsOf(io: Io, wish: ColorWish): Colors {
  return {stdout: useColor(io, io.stdout, wish), stderr: useColor(io, io.stderr, wish)};
}

function isOn(value: string | undefined): boolean {
  return value !== undefined && value !== '' && value !== '0' && value !== 'false';
}

/** Whether there is a person to ask: a terminal on both ends and no word against it. */
export function canAsk(io: Io, noInput: boolean): boolean {
  if (noInput || isOn(io.env['CI']) || isOn(io.env['CHATCTL_NO_INPUT'])) return false;
  return io.stdin.isTTY === true && io.stderr.isTTY === true;
}

/** Standard input, of which a person at a terminal is told that it is waited for: as a question, --quiet or not. */
export async function* stdinOf(io: Io): AsyncGenerator<Buffer> {
  if (io.stdin.isTTY) io.stderr.write('Reading from the terminal; end with Ctrl-D.\n');
  for await (const chunk of io.stdin as AsyncIterable<Buffer | string>) yield Buffer.from(chunk);
}

/** All of standard input as text, up to a limit. */
export async function readStdin(io: Io, limitBytes: number): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const bytes of stdinOf(io)) {
    size += bytes.length;
    if (size > limitBytes) return undefined;
    chunks.push(bytes);
  }
  try {
    return new TextDecoder('utf-8', {fatal: true}).decode(Buffer.concat(chunks));
  } catch (cause) {
    throw new ChatError('invalid_encoding', 'Standard input is not text in UTF-8.', {
      cause,
      hint: 'Convert it first, for example with: iconv -f latin1 -t utf-8',
    });
  }
}
