// A file that was named and cannot be read.
import {readdirSync} from 'node:fs';
import {basename, dirname} from 'node:path';
import {ChatError} from '../core/errors.ts';
import {didYouMean} from '../core/nearest.ts';

/** `file` is the path as it was given. file_not_found with the file that was probably meant, or invalid_input. */
export function unreadable(path: string, cause: unknown, file = path): ChatError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  if (code === 'ENOENT') {
    const hint = didYouMean(basename(path), namesIn(dirname(path))) ?? `It was looked for in ${dirname(path)}.`;
    return new ChatError('file_not_found', `There is no file ${file}.`, {cause, hint});
  }
  const isFolder = code === 'EISDIR';
  const reason = isFolder ? 'it is a directory' : code || String(cause);
  return new ChatError('invalid_input', `The file ${file} cannot be read: ${reason}.`, {
    cause,
    hint: isFolder ? 'Name a file in it.' : 'Look who may read it, and that it is a file.',
  });
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
