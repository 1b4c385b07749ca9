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

export function notWritable(path: string, cause: unknown): ChatError {
  const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
  return new ChatError('config_invalid', `The file ${path} cannot be written (${reason}).`, {
    cause,
    hint: 'Check the permissions of the folder, and that it is there.',
  });
}
