// An error in three parts: what failed, why, and what to do next. With --json one line on stderr, stdout untouched.
import {styleText} from 'node:util';
import {databaseError} from '../core/database-errors.ts';
import {ChatError} from '../core/errors.ts';
import {hideSecrets} from '../core/redact.ts';
import {exitOf, exits} from './exit.ts';
import type {Io} from './io.ts';
import {jsonLine, visible} from './text.ts';

export interface Told {
  code: string;
  message: string;
  hint: string | undefined;
  exit: number;
}

/** What to tell of an error; of one that nobody foresaw only its message. */
export function told(thrown: unknown): Told {
  const error = databaseError(thrown) ?? diskError(thrown) ?? thrown;
  if (error instanceof ChatError) {
    const {code, message, hint} = error;
    return {code, message: hideSecrets(message), hint: hint && hideSecrets(hint), exit: exitOf(code)};
  }
  const message = error instanceof Error ? error.message : String(error);
  return {
    code: 'internal',
    message: `Unexpected: ${hideSecrets(message)}`,
    hint: `This is a fault of chatctl. Run it again with --debug for the details (Node ${process.versions.node}, ${process.platform} ${process.arch}).`,
    exit: exits.failure,
  };
}

const fullCodes = new Set(['ENOSPC', 'EDQUOT']);

/** A full disk is one failure, whichever file was to be written: neither an argument nor a setting is wrong. */
function diskError(error: unknown): ChatError | undefined {
  if (!(error instanceof Error && isOfFullDisk(error))) return undefined;
  return new ChatError('internal', error.message, {cause: error, hint: 'Make room on the disk, and run it again.'});
}

function isOfFullDisk(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return ('code' in error && fullCodes.has(String(error.code))) || isOfFullDisk(error.cause);
}

export function tell(io: Io, {code, message, hint, exit}: Told, style: {json: boolean; color: boolean}): void {
  if (style.json) {
    const error = {code, message, hint: hint ?? null, exit_code: exit, docs: 'chatctl help exit-codes'};
    io.stderr.write(`${jsonLine({error})}\n`);
    return;
  }
  const word = style.color ? styleText('red', 'Error:', {validateStream: false}) : 'Error:';
  io.stderr.write(`${word} ${visible(message)}\n${hint === undefined ? '' : `${visible(hint)}\n`}`);
}
