// Whether a file that is named can be written: said before the work whose outcome it is for.
import {accessSync, constants, existsSync} from 'node:fs';
import {dirname} from 'node:path';
import {ChatError} from '../core/errors.ts';

/** Looks at the file or, while there is none, at its folder. Throws config_invalid. */
export function mustBeWritable(path: string): void {
  try {
    accessSync(existsSync(path) ? path : dirname(path), constants.W_OK);
  } catch (cause) {
    throw notWritable(path, cause);
  }
}

/** A new file could not be made: one is there, which is file_exists, or none can be, which is config_invalid. */
export function notMade(path: string, cause: unknown, hint: string): ChatError {
  if (!(cause instanceof Error && 'code' in cause && cause.code === 'EEXIST')) return notWritable(path, cause);
  return new ChatError('file_exists', `There is already a file ${path}.`, {cause, hint});
}

export function notWritable(path: string, cause: unknown): ChatError {
  const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
  return new ChatError('config_invalid', `The file ${path} cannot be written (${reason}).`, {
    cause,
    hint: 'Check the permissions of the folder, and that it is there.',
  });
}
