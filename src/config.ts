// The settings: flags > environment > .env > .chatctl/config.json > defaults. `loadConfig` is given the environment by
// bin/, and nothing else reads it.
import {isUtf8} from 'node:buffer';
import {existsSync, readFileSync} from 'node:fs';
import {dirname, join, resolve} from 'node:path';
import {inspect, parseEnv} from 'node:util';
import {z} from 'zod';
import {connectionLimits} from './core/centrifugo-config.ts';
import {commandLine} from './core/command-line.ts';
import {ChatError} from './core/errors.ts';
import {algorithms, keysOfJwkSet} from './core/keys.ts';
import {didYouMean} from './core/nearest.ts';
import {sampleSecrets, weaknessOf} from './core/secrets.ts';
import {parseRateLimits, rateLimits, type RateLimits} from './core/rate-limits.ts';

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

/** What may be told: another text may be a secret that stands where it does not belong. */
const likeNumber = /^[-+]?[\d.,_]{1,12}(e\d)?$/i;

const wholeNumber = (least: number, most: number) =>
  z.string().transform((text, context) => {
    const value = Number(text);
    if (/^\s*\d+\s*$/.test(text) && value >= least && value <= most) return value;
    const given = likeNumber.test(text) ? `is ${text}, and ` : '';
    context.addIssue(`${given}must be a whole number from ${least} to ${most}`);
    return z.NEVER;
  });
const port = wholeNumber(0, 65_535);
// A migration holds its lock on one connection and works on another.
const poolSize = wholeNumber(2, 1_000);
const amount = wholeNumber(1, 1_000_000);
const oneOf = <const Words extends readonly string[]>(words: Words) =>
  z.enum(words, {error: `must be one of ${words.join(', ')}`});
const flag = oneOf(['true', 'false', '1', '0']).transform(text => text === 'true' || text === '1');
const url = z.url({protocol: /^https?$/, hostname: z.regexes.hostname, error: 'must be an http or https URL'});
const originsLike = (pattern: RegExp) =>
  z
    .string()
    .transform(text => text.split(/[\s,]+/).filter(Boolean))
    .refine(
      list => list.every(each => pattern.test(each)),
      'must be origins, each scheme://host or scheme://host:port',
    );
const origins = originsLike(/^[a-z][a-z0-9+.-]*:\/\/(\[[0-9a-f:]+\]|[^\s/?#@*:[\]]+)(:(\d+|\*))?$/i);
/** With `*` as in Centrifugo's allowed_origins. */
const originGlobs = originsLike(/^(\*|[a-z][a-z0-9+.-]*:\/\/[^\s/?#@]+)$/i);
const limits = z.string().transform((text, context) => {
  const parsed = parseRateLimits(text);
  if (parsed !== undefined) return parsed;
  context.addIssue('must be on, off, or figures such as `reads=200/10s messages=5/10s`');
  return z.NEVER;
});
const secret = z
  .string()
  .min(1)
  .transform(text => new Secret(text));
const urlOfService = z
  .url({protocol: /^https?$/, error: 'must be an http or https URL'})
  .refine(text => isPlainUrl(text), 'must hold neither credentials nor a #');
const listOfAlgorithms = z
  .string()
  .transform(text => text.split(/[\s,]+/).filter(Boolean))
  .refine(words => words.length > 0 && words.every(isAlgorithm), `must be one or more of ${algorithms.join(', ')}`)
  .transform(words => words.filter(isAlgorithm));
/** Seconds since 1970. */
const moment = z.iso
  .datetime({offset: true, error: 'must be a time such as 2026-12-01T00:00:00Z'})
  .transform(text => Math.floor(Date.parse(text) / 1_000));
const secondsOf = {s: 1, m: 60, h: 3_600, d: 86_400} as const;
/** Seconds, or null for `none`. */
const duration = z
  .string()
  .regex(/^(none|[1-9]\d{0,5}[smhd])$/, 'is not a duration such as 90s, 15m, 24h or 7d, nor none')
  .transform(text =>
    text === 'none' ? null : Number.parseInt(text) * secondsOf[text.slice(-1) as 's' | 'm' | 'h' | 'd'],
  );

function isAlgorithm(word: string): word is (typeof algorithms)[number] {
  return algorithms.some(each => each === word);
}

function isPlainUrl(text: string): boolean {
  const {username, password, hash} = URL.canParse(text) ? new URL(text) : {username: '', password: '', hash: ''};
  return username + password + hash === '';
}

/** Any word may be one; but who meant production must not be left without its rules for a slip. */
const environment = z
  .string()
  .refine(
    name => name === 'production' || !/^\s*prod/i.test(name),
    'turns the rules of production on only as the word `production`',
  );

/** Every setting: how its text is read, and what it means. */
export const settings = {
  NODE_ENV: {schema: environment, meaning: '`production` turns the strict rules on'},
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
    schema: oneOf(['sqlite3', 'node:sqlite']),
    meaning: 'which SQLite driver; else sqlite3, or Node’s own where that did not install',
  },
  JWT_SECRET: {schema: secret, meaning: 'HS256 secret of API tokens'},
  SECRET_KEY: {schema: secret, meaning: 'used where JWT_SECRET is not set'},
  JWT_SECRET_PREVIOUS: {schema: secret, meaning: 'still accepted while the secret is rotated'},
  JWT_SECRET_PREVIOUS_UNTIL: {
    schema: moment,
    meaning: 'until when the previous secret is accepted, 2026-12-01T00:00:00Z; else for as long as it is set',
  },
  JWT_PUBLIC_KEY: {
    schema: secret,
    meaning: 'public keys of API tokens in PEM form, for any kid: RSA (RS256), P-256 (ES256), Ed25519 (EdDSA)',
  },
  JWT_KEYS: {schema: secret, meaning: 'keys of API tokens by kid: a JWK set of public keys, or of secrets'},
  JWT_JWKS_URL: {schema: urlOfService, meaning: 'where the primary service publishes its public keys as a JWK set'},
  JWT_ALGORITHMS: {
    schema: listOfAlgorithms,
    fallback: algorithms.join(','),
    meaning: 'algorithms of API tokens; keys of others are not used',
  },
  JWT_PRIVATE_KEY: {
    schema: secret,
    meaning: 'signs what `chatctl token jwt` mints, in place of the secret: PEM, or a JWK with its kid',
  },
  JWT_REQUIRE_EXP: {schema: flag, meaning: 'refuse API tokens without exp; true in production, else false'},
  JWT_MAX_AGE: {
    schema: duration,
    meaning: 'the longest life of an API token, exp - iat: 90s, 15m, 24h, 7d or none; 24h in production, else none',
  },
  JWT_ISSUER: {schema: z.string().min(1), meaning: 'the iss that API tokens must have'},
  JWT_AUDIENCE: {schema: z.string().min(1), meaning: 'the aud that API tokens must have'},
  JWT_TYPE: {schema: z.string().min(1), meaning: 'the typ that API tokens must have; else JWT, at+jwt or none'},
  JWT_SERVICE_SCOPE: {schema: z.string().min(1), fallback: 'chat:admin', meaning: 'scope of service tokens'},
  AUTH_VERIFY_URL: {
    schema: urlOfService,
    meaning: 'the primary service’s check of a token, asked by POST with the caller’s Authorization header',
  },
  AUTH_ALLOW_LINK_LOCAL: {
    schema: flag,
    fallback: 'false',
    meaning: 'let JWT_JWKS_URL and AUTH_VERIFY_URL lead to link-local and metadata addresses',
  },
  CENTRIFUGO_TOKEN_SECRET: {schema: secret, meaning: 'signs connection and subscription tokens'},
  CENTRIFUGO_API_URL: {schema: url, meaning: 'a real Centrifugo, http://host:8000; without it the embedded endpoint'},
  CENTRIFUGO_API_KEY: {schema: secret, meaning: 'key of Centrifugo’s server API'},
  ROOM_CREATION: {schema: oneOf(['service', 'users']), fallback: 'service', meaning: 'who may create rooms over REST'},
  PUBLIC_URL: {
    schema: url.transform(text => text.replace(/\/+$/, '')),
    meaning: 'base of links; else http://HOST:PORT',
  },
  CORS_ORIGINS: {schema: origins, fallback: '', meaning: 'browser origins that may call the API'},
  REALTIME_ORIGINS: {
    schema: originGlobs,
    fallback: '',
    meaning: 'browser origins that may connect to the embedded endpoint',
  },
  METRICS_KEY: {schema: secret, meaning: 'bearer key of GET /metrics; without it there are none to get'},
  TRUST_PROXY: {
    schema: wholeNumber(0, 10),
    fallback: '0',
    meaning: 'proxies in front',
  },
  RATE_LIMITS: {schema: limits, meaning: 'on, off, or figures: `reads=200/10s messages=5/10s`; on in production'},
  RATE_LIMIT_STORE: {
    schema: oneOf(['memory', 'database']),
    fallback: 'memory',
    meaning: 'where requests are counted; `database` for several servers on one PostgreSQL',
  },
  MAX_CONNECTIONS: {schema: amount, fallback: '10000', meaning: 'connections to the API at once; more are closed'},
  MAX_IN_FLIGHT: {schema: amount, fallback: '1000', meaning: 'requests under way at once; more are answered 503'},
  REALTIME_MAX_CONNECTIONS: {
    schema: amount,
    fallback: String(connectionLimits.connectionLimit),
    meaning: 'real-time connections at once, of the embedded endpoint or by `centrifugo config` of a node',
  },
  REALTIME_MAX_USER_CONNECTIONS: {
    schema: amount,
    fallback: String(connectionLimits.userConnectionLimit),
    meaning: 'those of one user; more are closed with 3504',
  },
  REALTIME_MAX_ADDRESS_CONNECTIONS: {
    schema: amount,
    fallback: '1000',
    meaning: 'those of one address to the embedded endpoint; more are answered 429',
  },
  LOG_LEVEL: {
    schema: oneOf(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']),
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

function parseSetting(name: SettingName, text: string, origin: Origin): unknown {
  const result = settings[name].schema.safeParse(text);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const words = issue?.code === 'invalid_value' ? issue.values.map(String) : [];
  throw new ChatError('config_invalid', `The setting ${name} ${issue?.message ?? 'is not valid'}.`, {
    hint: [didYouMean(text, words), `${meaningOf(name)} ${name} is from: ${origin}`].filter(Boolean).join('\n'),
  });
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

function readConfigFile(path: string): Record<string, string> {
  if (!existsSync(path)) return {};
  const content = contentOf(path);
  const [wrong] = Object.entries(content).flatMap(([name, value]) => misfit(name, value) ?? []);
  if (wrong === undefined) return content as Record<string, string>;
  throw new ChatError('config_invalid', `The file ${path} is not valid. ${wrong.message}`, {
    hint: `${wrong.hint}\nSee all that is wrong: ${commandLine(['chatctl', 'config', 'check'], [path])}`,
  });
}

export interface ConfigProblem {
  /** The setting, or the file where none can be named. */
  path: string;
  message: string;
}

/** All that is wrong with a project file, where loading it stops at the first. No text that may be a secret is told. */
export function checkConfigFile(path: string): ConfigProblem[] {
  try {
    return Object.entries(contentOf(path)).flatMap(([name, value]) => problemsOf(name, value));
  } catch (error) {
    return [toProblem(path, error)];
  }
}

function problemsOf(name: string, value: unknown): ConfigProblem[] {
  const wrong = misfit(name, value);
  if (wrong !== undefined) return [toProblem(name, wrong)];
  try {
    if (value !== '') parseSetting(name as SettingName, value as string, 'config file');
    return [];
  } catch (error) {
    return [toProblem(name, error)];
  }
}

function toProblem(path: string, error: unknown): ConfigProblem {
  if (!(error instanceof ChatError)) throw error;
  return {path, message: [error.message, ...(error.hint?.split('\n') ?? [])].join(' ')};
}

function contentOf(path: string): object {
  const invalid = (problem: string, cause?: unknown) =>
    new ChatError('config_invalid', `The file ${path} ${problem}.`, {
      cause,
      hint: 'It must be a JSON object with a setting by each name; chatctl init writes one.',
    });
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw invalid(cause instanceof SyntaxError ? 'is not JSON' : 'cannot be read', cause);
  }
  if (typeof content === 'object' && content !== null && !Array.isArray(content)) return content;
  throw invalid('is not a JSON object');
}

/** What cannot stand in a file, whatever its value would mean. */
function misfit(name: string, value: unknown): ChatError | undefined {
  if (!isSettingName(name)) {
    return new ChatError('config_invalid', `There is no setting ${name}.`, {
      hint: didYouMean(name, settingNames) ?? 'List them: chatctl config env',
    });
  }
  if (typeof value === 'string') return undefined;
  return new ChatError('config_invalid', `The setting ${name} must be a text, in quotes.`, {hint: meaningOf(name)});
}

export function isSettingName(name: string): name is SettingName {
  return Object.hasOwn(settings, name);
}

function meaningOf(name: SettingName): string {
  return `It means: ${settings[name].meaning}.`;
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
