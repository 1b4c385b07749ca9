// The settings: flags > environment > .env > .chatctl/config.json > defaults. `loadConfig` is given the environment by
// bin/, and nothing else reads it.
import {isUtf8} from 'node:buffer';
import {existsSync, readFileSync} from 'node:fs';
import {dirname, join, resolve} from 'node:path';
import {parseEnv} from 'node:util';
import type {z} from 'zod';
import {readConfigFile} from './config-file.ts';
import {ChatError} from './core/errors.ts';
import {keysOfJwkSet} from './core/keys.ts';
import {sampleSecrets, weaknessOf} from './core/secrets.ts';
import {rateLimits, type RateLimits} from './core/rate-limits.ts';
import {parseSetting, Secret, settingNames, settings, type Origin, type SettingName} from './settings.ts';

type Value<Name extends SettingName> = z.output<(typeof settings)[Name]['schema']>;
/** Settings with a default are always there. */
export type Config = {
  [Name in SettingName]: (typeof settings)[Name] extends {fallback: string} ? Value<Name> : Value<Name> | undefined;
} & {
  /** The folder that `.chatctl/` lies in, or would. */
  projectDir: string;
  origins: Partial<Record<SettingName, Origin>>;
  /** As they were written, without those that are secret. */
  texts: Partial<Record<SettingName, string>>;
};

export interface ConfigSources {
  /** Overrides by setting name. */
  flags?: Partial<Record<SettingName, string>>;
  env: Record<string, string | undefined>;
  cwd: string;
  /** The path of the project file, where it is not `.chatctl/config.json` here or above. */
  file?: string | undefined;
}

/** Reads and checks all settings. Throws config_invalid, naming the setting and never a text that may be a secret. */
export function loadConfig(sources: ConfigSources): Config {
  const projectDir = sources.file ? projectOf(sources.file, sources.cwd) : findProject(sources.cwd);
  const layers: [Origin, Record<string, string | undefined>][] = [
    ['flag', sources.flags ?? {}],
    ['environment', sources.env],
    ['.env', readEnvFile(join(projectDir, '.env'))],
    ['config file', readConfigFile(configFileOf(sources))],
  ];
  const config: Record<string, unknown> = {projectDir};
  const found: Partial<Record<SettingName, Origin>> = {};
  const texts: Partial<Record<SettingName, string>> = {};
  for (const name of settingNames) {
    const [origin, text] = lookup(name, layers);
    if (text === undefined) continue;
    found[name] = origin;
    const base = origin === 'flag' || origin === 'environment' ? sources.cwd : projectDir;
    const meant = name === 'DATABASE_URL' ? anchored(text, base) : text;
    config[name] = parseSetting(name, meant, origin);
    if (!(config[name] instanceof Secret)) texts[name] = meant;
  }
  return checked({...(config as Config), origins: found, texts});
}

/** The project file that these sources lead to, whether it is there or not. */
export function configFileOf({file, cwd}: Pick<ConfigSources, 'file' | 'cwd'>): string {
  return file ? resolve(cwd, file) : configPath(findProject(cwd));
}

export function configPath(projectDir: string): string {
  return join(projectDir, '.chatctl', 'config.json');
}

/** The secret of API tokens, which falls back to SECRET_KEY. Throws config_invalid when there is neither. */
export function jwtSecret(config: Config): string {
  return mustHave(config, config.JWT_SECRET ? 'JWT_SECRET' : config.SECRET_KEY ? 'SECRET_KEY' : 'JWT_SECRET').reveal();
}

/** The secret of connection and subscription tokens. Throws config_invalid when it is not set. */
export function centrifugoTokenSecret(config: Config): string {
  return mustHave(config, 'CENTRIFUGO_TOKEN_SECRET').reveal();
}

function mustHave(config: Config, name: 'JWT_SECRET' | 'SECRET_KEY' | 'CENTRIFUGO_TOKEN_SECRET'): Secret {
  const value = config[name];
  if (value) return value;
  throw new ChatError('config_invalid', `${name} is not set.`, {
    hint: `Set it in the environment, or run \`chatctl dev\` once, which makes secrets for development in .chatctl/.`,
  });
}

export function isProduction(config: Config): boolean {
  return config.NODE_ENV === 'production';
}

/** The base of links to the API, never taken from a request. */
export function publicUrl(config: Config, boundPort: number = config.PORT): string {
  const host = ['0.0.0.0', '127.0.0.1', '::', '::1'].includes(config.HOST) ? 'localhost' : config.HOST;
  return config.PUBLIC_URL ?? `http://${host}:${boundPort}`;
}

/** The limits in force, or null for none: on in production, and elsewhere when they are asked for. */
export function rateLimitsOf(config: Config): RateLimits | null {
  return config.RATE_LIMITS ?? (config.RATE_LIMITS === undefined && isProduction(config) ? rateLimits : null);
}

function checked(config: Config): Config {
  if (config.CENTRIFUGO_API_URL !== undefined && !config.CENTRIFUGO_API_KEY) {
    throw new ChatError('config_invalid', 'CENTRIFUGO_API_URL is set and CENTRIFUGO_API_KEY is not.', {
      hint: 'Set it to the http_api.key of that Centrifugo, or leave the URL out: then the embedded endpoint serves.',
    });
  }
  return config;
}

/** Whether tokens may be verified with keys that are no secret of ours. */
export function hasPublicKeys({JWT_PUBLIC_KEY, JWT_KEYS, JWT_JWKS_URL}: Config): boolean {
  return [JWT_PUBLIC_KEY, JWT_KEYS, JWT_JWKS_URL].some(each => each !== undefined);
}

/** What production does not start with: missing, weak or shared secrets, pages of everywhere. Throws config_invalid. */
export function mustBeFitForProduction(config: Config): void {
  if (config.REALTIME_ORIGINS.some(each => /^(\*|[^/]*:\/\/\*(:.*)?)$/.test(each))) {
    throw new ChatError('config_invalid', 'REALTIME_ORIGINS lets pages of every origin connect.', {
      hint: 'Name the origins of your pages, for example https://chat.example.com.',
    });
  }
  if (!hasPublicKeys(config)) jwtSecret(config);
  centrifugoTokenSecret(config);
  const [problem] = weakSecrets(config);
  if (problem === undefined) return;
  throw new ChatError('config_invalid', problem, {hint: 'Make a secret with: openssl rand -base64 32'});
}

/** What is wrong with the secrets, a sentence each: production refuses them, elsewhere they are warned about. */
export function weakSecrets(config: Config): string[] {
  const {JWT_SECRET, SECRET_KEY, JWT_SECRET_PREVIOUS, CENTRIFUGO_TOKEN_SECRET, CENTRIFUGO_API_KEY} = config;
  const plain = {...(JWT_SECRET ? {JWT_SECRET} : {SECRET_KEY}), JWT_SECRET_PREVIOUS};
  const api = [...namedSecrets(plain), ...secretsByKid(config)];
  const problems = [...api, ...namedSecrets({CENTRIFUGO_TOKEN_SECRET})].flatMap(({name, value}) => {
    const weakness = weaknessOf(value);
    return weakness === undefined ? [] : [`${name} ${weakness}.`];
  });
  if (sampleSecrets.includes(CENTRIFUGO_API_KEY?.reveal().toLowerCase() ?? '')) {
    problems.push('CENTRIFUGO_API_KEY is printed in documentation or is a usual word.');
  }
  for (const {name, value} of api) {
    if (value === CENTRIFUGO_TOKEN_SECRET?.reveal()) {
      problems.push(`CENTRIFUGO_TOKEN_SECRET is the same as ${name}: a token of one kind would pass as the other.`);
    }
  }
  return problems;
}

interface NamedSecret {
  name: string;
  value: string;
}

function namedSecrets(secrets: Record<string, Secret | undefined>): NamedSecret[] {
  return Object.entries(secrets).flatMap(([name, value]) => (value ? [{name, value: value.reveal()}] : []));
}

/** Those of a JWK set. A secret of letters is told as its letters, one of any bytes as a character each. */
function secretsByKid({JWT_KEYS}: Config): NamedSecret[] {
  const keys = JWT_KEYS ? keysOfJwkSet('JWT_KEYS', JWT_KEYS.reveal()) : [];
  return keys.flatMap(({name, key}) => {
    if (key.type !== 'secret') return [];
    const bytes = key.export();
    return [{name, value: bytes.toString(isUtf8(bytes) ? 'utf8' : 'latin1')}];
  });
}

function lookup(
  name: SettingName,
  layers: readonly [Origin, Record<string, string | undefined>][],
): [Origin, string | undefined] {
  for (const [origin, values] of layers) {
    // An empty variable counts as unset: that is how compose files and shells pass what is not there.
    const text = values[name] || readSecretFile(name, values[`${name}_FILE`]);
    if (text !== undefined && text !== '') return [origin, text];
  }
  const setting: {meaning: string; fallback?: string} = settings[name];
  return ['default', setting.fallback];
}

function readSecretFile(name: string, path: string | undefined): string | undefined {
  if (!path) return undefined;
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '');
  } catch (cause) {
    throw new ChatError('config_invalid', `The file of ${name}_FILE cannot be read.`, {
      cause,
      hint: `Look whether ${path} is there, and who may read it.`,
    });
  }
}

function readEnvFile(path: string): Record<string, string | undefined> {
  return existsSync(path) ? parseEnv(readFileSync(path, 'utf8')) : {};
}

/** The value as it may be shown: a secret only where it was asked to be revealed. */
export function shownSetting(config: Config, name: SettingName, reveal: boolean): string | null {
  const value = config[name];
  if (value instanceof Secret) return reveal ? value.reveal() : '********';
  const text = config.texts[name] ?? null;
  // The password in the address of a database is a secret too.
  return name === 'DATABASE_URL' && !reveal ? (text?.replace(/(:\/\/[^:/@]*):[^@]*@/, '$1:********@') ?? null) : text;
}

/** The nearest folder upwards that holds `.chatctl`, or this one. */
function findProject(cwd: string): string {
  for (let dir = resolve(cwd); ; dir = dirname(dir)) {
    if (existsSync(join(dir, '.chatctl'))) return dir;
    if (dir === dirname(dir)) return resolve(cwd);
  }
}

function projectOf(file: string, cwd: string): string {
  const path = resolve(cwd, file);
  if (!existsSync(path)) throw noConfigFile(path);
  const dir = dirname(path);
  return dir.endsWith('.chatctl') ? dirname(dir) : dir;
}

function noConfigFile(path: string): ChatError {
  return new ChatError('config_invalid', `There is no config file at ${path}.`, {
    hint: 'Make one with: chatctl init',
  });
}

/** A relative SQLite path is meant from where it was written. */
function anchored(url: string, base: string): string {
  return url.replace(
    /^(sqlite3?|file):(?!\/)(.+)$/,
    (_, scheme: string, path: string) => `${scheme}:${resolve(base, path)}`,
  );
}
