import {accessSync, existsSync} from 'node:fs';
import {resolve} from 'node:path';
import {configFileOf, configPath, mustBeFitForProduction, shownSetting, weakSecrets} from '../../config.ts';
import {checkConfigFile, type ConfigProblem} from '../../config-file.ts';
import {isSettingName, settingNames, settings} from '../../settings.ts';
import {ChatError} from '../../core/errors.ts';
import type {Cli} from '../context.ts';
import {Exit, exits} from '../exit.ts';
import {unreadable} from '../unreadable.ts';

export async function showConfig(cli: Cli, options: {origin?: boolean; reveal?: boolean}): Promise<void> {
  const config = await cli.config();
  const values = settingNames.map(key => ({
    key,
    value: shownSetting(config, key, options.reveal ?? false),
    origin: config.origins[key] ?? null,
  }));
  const set = values.filter(each => each.value !== null);
  cli.print({
    items: cli.format === 'json' ? values : set,
    columns: options.origin ? ['key', 'value', 'origin'] : ['key', 'value'],
    id: 'key',
    json: all => ({values: all}),
  });
  cli.note(`The project file is ${cli.globals.config ?? configPath(config.projectDir)}.`);
}

export async function checkConfig(cli: Cli, file: string | undefined, options: {strict?: boolean}): Promise<void> {
  const errors = file === undefined ? await problemsInForce(cli, options.strict ?? false) : problemsIn(cli, file);
  cli.print({
    items: errors,
    columns: ['path', 'message'],
    id: 'path',
    json: all => ({ok: all.length === 0, errors: all}),
  });
  if (errors.length > 0) throw new Exit(exits.checkFailed);
  cli.note('Nothing is wrong.');
}

function problemsIn(cli: Cli, file: string): ConfigProblem[] {
  const path = resolve(cli.io.cwd, file);
  try {
    accessSync(path);
  } catch (cause) {
    throw unreadable(path, cause, file);
  }
  return checkConfigFile(path);
}

/** Of the file first, because with a broken one there are no settings in force. */
async function problemsInForce(cli: Cli, strict: boolean): Promise<ConfigProblem[]> {
  const {io, globals} = cli;
  const path = configFileOf({cwd: io.cwd, file: globals.config ?? io.env['CHATCTL_CONFIG']});
  const inFile = existsSync(path) ? checkConfigFile(path) : [];
  if (inFile.length > 0) return inFile;
  try {
    const config = await cli.config();
    const weak = weakSecrets(config).map(message => ({path: settingIn(message), message}));
    if (weak.length === 0 && strict) mustBeFitForProduction(config);
    return weak;
  } catch (error) {
    if (!(error instanceof ChatError)) throw error;
    return [{path: settingIn(error.message), message: error.message}];
  }
}

/** The setting that a message is about. */
function settingIn(message: string): string {
  return message.match(/[A-Z_]+/g)?.find(isSettingName) ?? 'settings';
}

export function listVariables(cli: Cli, options: {shell?: boolean}): Promise<void> {
  const variables = settingNames.map(name => {
    const {fallback, meaning}: {fallback?: string; meaning: string} = settings[name];
    return {name, default: fallback ?? null, meaning};
  });
  if (options.shell && cli.format !== 'json') {
    for (const each of variables)
      cli.io.stdout.write(`# ${each.meaning}\n# ${each.name}=${inShell(each.default ?? '')}\n`);
    return Promise.resolve();
  }
  cli.print({
    items: variables,
    columns: ['name', 'default', 'meaning'],
    id: 'name',
    json: all => ({variables: all}),
  });
  return Promise.resolve();
}

function inShell(text: string): string {
  return /^[\w.:/-]*$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
