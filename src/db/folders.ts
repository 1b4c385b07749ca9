import {mkdirSync, statSync} from 'node:fs';
import {dirname} from 'node:path';

/** Makes a folder with those above it. Node's own `recursive` never ends where a folder cannot hold one, as those below /proc cannot. */
export function makeFolder(path: string, mode = 0o777): void {
  if (isFolder(path)) return;
  makeFolder(dirname(path), mode);
  try {
    mkdirSync(path, {mode});
  } catch (error) {
    // Another process was faster.
    if (!isFolder(path)) throw error;
  }
}

function isFolder(path: string): boolean {
  return statSync(path, {throwIfNoEntry: false})?.isDirectory() ?? false;
}
