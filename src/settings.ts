// The table of settings: what each means, how its text is read, and what it is when it is not set.
import {inspect} from 'node:util';
import {z} from 'zod';
import {connectionLimits} from './core/centrifugo-config.ts';
import {ChatError} from './core/errors.ts';
import {algorithms} from './core/keys.ts';
import {didYouMean} from './core/nearest.ts';
import {parseRateLimits} from './core/rate-limits.ts';

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

export const settingNames = Object.keys(settings) as SettingName[];

export function parseSetting(name: SettingName, text: string, origin: Origin): unknown {
  const result = settings[name].schema.safeParse(text);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const words = issue?.code === 'invalid_value' ? issue.values.map(String) : [];
  throw new ChatError('config_invalid', `The setting ${name} ${issue?.message ?? 'is not valid'}.`, {
    hint: [didYouMean(text, words), `${meaningOf(name)} ${name} is from: ${origin}`].filter(Boolean).join('\n'),
  });
}

export function isSettingName(name: string): name is SettingName {
  return Object.hasOwn(settings, name);
}

export function meaningOf(name: SettingName): string {
  return `It means: ${settings[name].meaning}.`;
}
