// Exit codes, each for something a script may want to tell apart.
import {errorCodes, type ErrorCode, type ErrorKind} from '../core/errors.ts';

export const exits = {
  ok: 0,
  failure: 1,
  usage: 2,
  notFound: 3,
  conflict: 4,
  unreachable: 5,
  refused: 6,
  partial: 7,
  checkFailed: 8,
  timeout: 9,
  interrupted: 130,
  terminated: 143,
} as const;

export const exitMeanings: Record<keyof typeof exits, string> = {
  ok: 'done; also an empty list, and a reader that closed the pipe',
  failure: 'unexpected failure, or you answered No',
  usage: 'usage, bad input or settings, or an answer is needed and there is no terminal to ask on',
  notFound: 'the named thing does not exist',
  conflict: 'conflict: it exists already, is archived, several have this name, migrations are pending, a port is taken',
  unreachable: 'database, API or Centrifugo cannot be reached; safe to try again',
  refused: 'token invalid, expired or not permitted',
  partial: 'some of many failed',
  checkFailed: 'a check said no',
  timeout: 'the expected event did not come in time',
  interrupted: 'ended by Ctrl-C',
  terminated: 'ended by SIGTERM',
};

const exitOfKind: Record<ErrorKind, number> = {
  invalid: exits.usage,
  unauthenticated: exits.refused,
  denied: exits.refused,
  not_found: exits.notFound,
  conflict: exits.conflict,
  too_large: exits.usage,
  headers_too_large: exits.usage,
  timeout: exits.unreachable,
  unsupported: exits.usage,
  method: exits.failure,
  limited: exits.unreachable,
  internal: exits.failure,
  unavailable: exits.unreachable,
};

/** The exit code of an error. What an archived room refuses is a matter of its state, not of who asks. */
export function exitOf(code: ErrorCode): number {
  return code === 'room_archived' ? exits.conflict : exitOfKind[errorCodes[code]];
}

/** Ends the command with this code after everything was said. */
export class Exit extends Error {
  readonly code: number;
  constructor(code: number) {
    super(`exit ${code}`);
    this.code = code;
  }
}
