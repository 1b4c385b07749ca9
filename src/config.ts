// The settings: flags > environment > .env > .chatctl/config.json > defaults. `loadConfig` is given the environment by
// bin/, and nothing else reads it.
import {existsSync, readFileSync} from 'node:fs';
import {dirname, join, resolve} from 'node:path';
import {inspect, parseEnv} from 'node:util';
import {z} from 'zod';
import {ChatError} from './core/errors.ts';

/** A value that does not print: not in logs, not in JSON, not in errors. */
export class Secret {
  readonly #value: string;
  constructor(value: string) {
    this.#value = value;
  }
  reveal(): string {
    return this.#value;
  }
  toString(): string {
    return '[secret]';
  }
  toJSON(): string {
    return '[secret]';
  }
  [inspect.custom](): string {
    return '[secret]';
  }
}

const port = z.coerce.number<string>().pipe(z.int().min(0).max(65_535));
// A migration holds its lock on one connection and works on another.
const poolSize = z.coerce.number<string>().pipe(z.int().min(2).max(1_000));
const flag = z.enum(['true', 'false', '1', '0']).transform(text => text === 'true' || text === '1');
const url = z.url({protocol: /^https?$/, hostname: z.regexes.hostname});
const origins = z.string().transform(text => text.split(/[\s,]+/).filter(Boolean));
const secret = z
  .string()
  .min(1)
  .transform(text => new Secret(text));

/** Every setting: how its text is read, and what it means. */
export const settings = {
  NODE_ENV: {schema: z.string(), meaning: '`production` turns the strict rules on'},
  PORT: {schema: port, fallback: '9000', meaning: 'port of the API'},
  HOST: {schema: z.string().min(1), fallback: '127.0.0.1', meaning: 'address that the API listens on'},
  REALTIME_PORT: {schema: port, fallback: '8000', meaning: 'port of the embedded real-time endpoint'},
  DATABASE_URL: {
    schema: z.string().min(1),
    fallback: 'sqlite:.chatctl/chat.db',
    meaning: 'sqlite:<path> or postgres://…',
  },
  DATABASE_POOL_MAX: {schema: poolSize, fallback: '10', meaning: 'connections to PostgreSQL at most'},
  SQLITE_DRIVER: {
    schema: z.enum(['sqlite3', 'node:sqlite']),
    meaning: 'which SQLite driver; else sqlite3, or Node’s own where that did not install',
  },
  JWT_SECRET: {schema: secret, meaning: 'HS256 secret of API tokens'},
  SECRET_KEY: {schema: secret, meaning: 'used where JWT_SECRET is not set'},
  JWT_SECRET_PREVIOUS: {schema: secret, meaning: 'still accepted while the secret is rotated'},
  JWT_REQUIRE_EXP: {schema: flag, meaning: 'refuse API tokens without exp; true in production, else false'},
  JWT_ISSUER: {schema: z.string().min(1), meaning: 'the iss that API tokens must have'},
  JWT_AUDIENCE: {schema: z.string().min(1), meaning: 'the aud that API tokens must have'},
  JWT_SERVICE_SCOPE: {schema: z.string().min(1), fallback: 'chat:admin', meaning: 'scope of service tokens'},
  CENTRIFUGO_TOKEN_SECRET: {schema: secret, meaning: 'signs connection and subscription tokens'},
  CENTRIFUGO_API_URL: {schema: url, meaning: 'a real Centrifugo, http://host:8000; without it the embedded endpoint'},
  CENTRIFUGO_API_KEY: {schema: secret, meaning: 'key of Centrifugo’s server API'},
  ROOM_CREATION: {schema: z.enum(['service', 'users']), fallback: 'service', meaning: 'who may create rooms over REST'},
  PUBLIC_URL: {
    schema: url.transform(text => text.replace(/\/+$/, '')),
    meaning: 'base of links; else http://HOST:PORT',
  },
  CORS_ORIGINS: {schema: origins, fallback: '', meaning: 'browser origins that may call the API'},
  REALTIME_ORIGINS: {
    schema: origins,
    fallback: '',
    meaning: 'browser origins that may connect to the embedded endpoint',
  },
  METRICS_KEY: {schema: secret, meaning: 'bearer key of GET /metrics; without it there are none to get'},
  TRUST_PROXY: {
    schema: z.coerce.number<string>().pipe(z.int().min(0).max(10)),
    fallback: '0',
    meaning: 'proxies in front',
  },
  LOG_LEVEL: {
    schema: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']),
    fallback: 'info',
    meaning: 'least severe log line that is written',
  },
} as const satisfies Record<string, {schema: z.ZodType<unknown, string>; fallback?: string; meaning: string}>;

export type SettingName = keyof typeof settings;
export type Origin = 'flag' | 'environment' | '.env' | 'config file' | 'default';

type Value<Name extends SettingName> = z.output<(typeof settings)[Name]['schema']>;
/** Settings with a default are always there. */
export type Config = {
  [Name in SettingName]: (typeof settings)[Name] extends {fallback: string} ? Value<Name> : Value<Name> | undefined;
} & {
  /** The folder that `.chatctl/` lies in, or would. */
  projectDir: string;
  origins: Partial<Record<SettingName, Origin>>;
};

export interface ConfigSources {
  /** Overrides by setting name. */
  flags?: Partial<Record<SettingName, string>>;
  env: Record<string, string | undefined>;
  cwd: string;
  /** The path of the project file, where it is not `.chatctl/config.json` here or above. */
  file?: string | undefined;
}

/** Reads and checks all settings. Throws config_invalid, naming the setting and never its value. */
export function loadConfig(sources: ConfigSources): Config {
  const projectDir = sources.file ? projectOf(sources.file, sources.cwd) : findProject(sources.cwd);
  const layers: [Origin, Record<string, string | undefined>][] = [
    ['flag', sources.flags ?? {}],
    ['environment', sources.env],
    ['.env', readEnvFile(join(projectDir, '.env'))],
    ['config file', readConfigFile(configFileOf(sources))],
  ];
  const config: Record<string, unknown> = {projectDir, origins: {}};
  const found: Partial<Record<SettingName, Origin>> = {};
  for (const name of settingNames) {
    const [origin, text] = lookup(name, layers);
    if (text === undefined) continue;
    found[name] = origin;
    const base = origin === 'flag' || origin === 'environment' ? sources.cwd : projectDir;
    config[name] = parseSetting(name, name === 'DATABASE_URL' ? anchored(text, base) : text);
  }
  return checked({...(config as Config), origins: found});
}

export const settingNames = Object.keys(settings) as SettingName[];

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

function checked(config: Config): Config {
  if (config.CENTRIFUGO_API_URL !== undefined && !config.CENTRIFUGO_API_KEY) {
    throw new ChatError('config_invalid', 'CENTRIFUGO_API_URL is set and CENTRIFUGO_API_KEY is not.');
  }
  return config;
}

/** What production does not start with: missing, short or shared secrets. Throws config_invalid. */
export function mustBeFitForProduction(config: Config): void {
  const secrets = {
    [config.JWT_SECRET ? 'JWT_SECRET' : 'SECRET_KEY']: jwtSecret(config),
    CENTRIFUGO_TOKEN_SECRET: centrifugoTokenSecret(config),
  };
  for (const [name, value] of Object.entries(secrets)) {
    if (Buffer.byteLength(value) < 32) {
      throw new ChatError('config_invalid', `${name} is shorter than 32 bytes.`, {
        hint: 'Make one with: openssl rand -base64 32',
      });
    }
  }
  if (jwtSecret(config) === centrifugoTokenSecret(config)) {
    throw new ChatError(
      'config_invalid',
      'CENTRIFUGO_TOKEN_SECRET is the same as JWT_SECRET: a token of one kind would pass as the other.',
    );
  }
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

function parseSetting(name: SettingName, text: string): unknown {
  const result = settings[name].schema.safeParse(text);
  if (result.success) return result.data;
  const problem = result.error.issues[0]?.message ?? 'is not valid';
  throw new ChatError('config_invalid', `The setting ${name} is not valid: ${problem}.`, {
    hint: `It means: ${settings[name].meaning}.`,
  });
}

function readSecretFile(name: string, path: string | undefined): string | undefined {
  if (!path) return undefined;
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '');
  } catch (cause) {
    throw new ChatError('config_invalid', `The file of ${name}_FILE cannot be read.`, {cause});
  }
}

function readEnvFile(path: string): Record<string, string | undefined> {
  return existsSync(path) ? parseEnv(readFileSync(path, 'utf8')) : {};
}

function readConfigFile(path: string): Record<string, string> {
  if (!existsSync(path)) return {};
  const schema = z.strictObject(Object.fromEntries(settingNames.map(name => [name, z.string().optional()])));
  try {
    return schema.parse(JSON.parse(readFileSync(path, 'utf8'))) as Record<string, string>;
  } catch (cause) {
    const problem = cause instanceof z.ZodError ? z.prettifyError(cause) : 'it is not JSON that can be read';
    throw new ChatError('config_invalid', `The file ${path} is not valid: ${problem}.`, {cause});
  }
}

export interface ConfigProblem {
  /** The setting, or the file where none can be named. */
  path: string;
  message: string;
}

/** All that is wrong with a project file, where loading it stops at the first. Values are never told. */
export function checkConfigFile(path: string): ConfigProblem[] {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    const reason = cause instanceof SyntaxError ? 'it is not JSON' : 'it cannot be read';
    return [{path, message: `The file cannot be used: ${reason}.`}];
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    return [{path, message: 'It must be a JSON object with a setting by each name.'}];
  }
  return Object.entries(content).flatMap(([name, value]) => problemsOf(name, value));
}

function problemsOf(name: string, value: unknown): ConfigProblem[] {
  const known = settingNames.find(each => each === name);
  if (!known) return [{path: name, message: `There is no setting ${name}.`}];
  if (typeof value !== 'string') return [{path: name, message: 'It must be a text, in quotes.'}];
  try {
    if (value !== '') parseSetting(known, value);
    return [];
  } catch (error) {
    if (!(error instanceof ChatError)) throw error;
    return [{path: name, message: error.message}];
  }
}

/** The value as it may be shown: a secret only where it was asked to be revealed. */
export function shownSetting(config: Config, name: SettingName, reveal: boolean): string | null {
  const value = config[name];
  if (value === undefined) return null;
  if (value instanceof Secret) return reveal ? value.reveal() : '********';
  const text = Array.isArray(value) ? value.join(' ') : String(value);
  // The password in the address of a database is a secret too.
  return name === 'DATABASE_URL' && !reveal ? text.replace(/(:\/\/[^:/@]*):[^@]*@/, '$1:********@') : text;
}

/** Words that stand in examples everywhere: no secrets. */
const sampleSecrets = /^(secret|changeme|change-me|password|test|example|my-?secret|your-?.*secret.*|xxx+|[0-9]+)$/i;

/** The settings whose secret is a sample, or the same character again and again. */
export function sampleSecretsIn(config: Config): SettingName[] {
  return settingNames.filter(name => {
    const value: unknown = config[name];
    if (!(value instanceof Secret)) return false;
    const text = value.reveal();
    return sampleSecrets.test(text) || new Set(text).size < 6;
  });
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
  if (!existsSync(path)) throw new ChatError('config_invalid', `There is no config file at ${path}.`);
  const dir = dirname(path);
  return dir.endsWith('.chatctl') ? dirname(dir) : dir;
}

/** A relative SQLite path is meant from where it was written. */
function anchored(url: string, base: string): string {
  return url.replace(
    /^(sqlite3?|file):(?!\/)(.+)$/,
    (_, scheme: string, path: string) => `${scheme}:${resolve(base, path)}`,
  );
}
