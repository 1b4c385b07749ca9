// Files that a command makes for a person: none that is there already is touched.
import {existsSync, writeFileSync} from 'node:fs';
import {dirname, join, relative, resolve} from 'node:path';
import {ChatError} from '../../core/errors.ts';
import type {Cli} from '../context.ts';
import {makeFolder} from '../../db/folders.ts';
import {notWritable} from '../writable.ts';

/** Writes all of them or, where one is there already, none. Answers their paths. Throws file_exists. */
export function writeNewFiles(cli: Cli, folder: string, files: ReadonlyMap<string, string>): string[] {
  const paths = [...files.keys()].map(name => join(resolve(cli.io.cwd, folder), name));
  const taken = paths.filter(path => existsSync(path));
  if (taken.length > 0) throw fileExists(cli, taken, 'Remove it, or name another folder with --out.');
  for (const [name, text] of files) writeNew(join(resolve(cli.io.cwd, folder), name), text);
  return paths;
}

export function fileExists({io}: Cli, paths: readonly string[], hint: string): ChatError {
  const names = paths.map(path => relative(io.cwd, path) || path).join(', ');
  return new ChatError('file_exists', `There is already ${names}.`, {hint});
}

function writeNew(path: string, text: string): void {
  try {
    makeFolder(dirname(path));
    writeFileSync(path, text, {flag: 'wx'});
  } catch (cause) {
    throw notWritable(path, cause);
  }
}
