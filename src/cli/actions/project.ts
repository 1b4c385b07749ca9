// The `.chatctl/` folder of a project, with its secrets for development.
import {chmodSync, existsSync, linkSync, readFileSync, renameSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {configPath, type Config} from '../../config.ts';
import {ChatError} from '../../core/errors.ts';
import {makeSecret} from '../../core/secrets.ts';
import {makeFolder} from '../../db/folders.ts';

/** The secrets that are set nowhere, by name. */
export function missingSecrets(config: Config): string[] {
  return [
    ...(config.JWT_SECRET || config.SECRET_KEY ? [] : ['JWT_SECRET']),
    ...(config.CENTRIFUGO_TOKEN_SECRET ? [] : ['CENTRIFUGO_TOKEN_SECRET']),
    ...(config.CENTRIFUGO_API_KEY ? [] : ['CENTRIFUGO_API_KEY']),
  ];
}

/** Makes the secrets that are set nowhere. */
export function ensureSecrets(config: Config): void {
  const missing = missingSecrets(config);
  ensureFolder(config);
  if (missing.length === 0) return;
  const path = configPath(config.projectDir);
  const before = existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Record<string, string>) : {};
  const made = Object.fromEntries(missing.map(name => [name, makeSecret()]));
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, `${JSON.stringify({...before, ...made}, null, 2)}\n`, {mode: 0o600, flag: 'wx'});
  if (existsSync(path)) renameSync(temporary, path);
  else putWhereNoneIs(temporary, path);
}

/** Of two first starts at once, the secrets of one hold for both. */
function putWhereNoneIs(temporary: string, path: string): void {
  try {
    linkSync(temporary, path);
  } catch {
    // There is one by now, or the file system has no links.
    if (!existsSync(path)) renameSync(temporary, path);
  } finally {
    rmSync(temporary, {force: true});
  }
}

function ensureFolder({projectDir}: Config): void {
  const folder = join(projectDir, '.chatctl');
  try {
    makeFolder(folder, 0o700);
    chmodSync(folder, 0o700);
  } catch (cause) {
    throw new ChatError('config_invalid', `The folder ${folder} cannot be made.`, {
      cause,
      hint: 'Check the permissions of the folder above it.',
    });
  }
}
