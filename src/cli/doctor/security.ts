// What is risky about these settings, each with its repair. In production a risk is a failure; elsewhere it is a warning,
// because a developer's machine is allowed most of it.
import {existsSync, statSync} from 'node:fs';
import {join, resolve} from 'node:path';
import {configPath, isProduction, rateLimitsOf, weakSecrets, type Config} from '../../config.ts';
import {settingNames} from '../../settings.ts';
import {weaknessOf} from '../../core/secrets.ts';
import {reachesEverything} from '../../core/status.ts';
import {parseDatabaseUrl} from '../../db/connect.ts';
import type {Cli} from '../context.ts';

interface Risk {
  message: string;
  fix: string;
}

export interface SecurityAnswer {
  status: 'ok' | 'warn' | 'fail';
  message: string;
  fix: string | null;
}

/** All risks as one answer. */
export async function checkSecurity(cli: Cli): Promise<SecurityAnswer> {
  const config = await cli.config();
  const files = looseFiles(privateFiles(config, cli.io.env, cli.io.cwd));
  const risks = [...risksOf(config), ...files, ...(await databaseRights(cli))];
  if (risks.length === 0) return {status: 'ok', message: 'no risky setting was found', fix: null};
  return {
    status: isProduction(config) ? 'fail' : 'warn',
    message: risks.map(risk => risk.message).join(' '),
    fix: risks.map(risk => risk.fix).join(' '),
  };
}

/** A database that cannot be asked has a check of its own. */
async function databaseRights(cli: Cli): Promise<Risk[]> {
  const chat = await cli.chat().catch(() => undefined);
  if (!chat || !(await reachesEverything(chat, cli.actor))) return [];
  const message = `${chat.db.target.label} is reached as a superuser, who can read files and run programs of its machine.`;
  return [{message, fix: 'Give the server a user that owns its database and is no superuser.'}];
}

/** What the settings themselves tell. */
export function risksOf(config: Config): Risk[] {
  return [secrets, expiry, exposure, limits, origins, links, metadata, database].flatMap(check => check(config));
}

const makeOne = 'Make one with: openssl rand -base64 32';

/** Those that production refuses, and what it cannot do more than warn about: weak keys, and one value for two things. */
function secrets(config: Config): Risk[] {
  const {CENTRIFUGO_API_KEY, METRICS_KEY, JWT_SECRET, SECRET_KEY, JWT_SECRET_PREVIOUS, CENTRIFUGO_TOKEN_SECRET} =
    config;
  const values = {
    JWT_SECRET,
    SECRET_KEY,
    JWT_SECRET_PREVIOUS,
    CENTRIFUGO_TOKEN_SECRET,
    CENTRIFUGO_API_KEY,
    METRICS_KEY,
  };
  const set = Object.entries(values).flatMap(([name, value]) => (value ? [{name, value: value.reveal()}] : []));
  const keys = set.flatMap(({name, value}, i): Risk[] => {
    if (name !== 'CENTRIFUGO_API_KEY' && name !== 'METRICS_KEY') return [];
    const same = set.slice(0, i).find(other => other.value === value);
    if (same) {
      const fix = `Give ${name} a value of its own.`;
      return [{message: `${name} is the same as ${same.name}: who holds one holds both.`, fix}];
    }
    const weakness = weaknessOf(value);
    return weakness === undefined ? [] : [{message: `${name} ${weakness}.`, fix: makeOne}];
  });
  const known = new Set(keys.map(risk => risk.message));
  const weak = weakSecrets(config).filter(message => !known.has(message));
  return [...weak.map(message => ({message, fix: makeOne})), ...keys];
}

function expiry(config: Config): Risk[] {
  const risks: Risk[] = [];
  if (config.JWT_MAX_AGE === null) {
    const message = 'JWT_MAX_AGE=none lets a token live for as long as it says of itself.';
    risks.push({message, fix: 'Set JWT_MAX_AGE to the longest life that the primary service gives a token.'});
  }
  if (!(config.JWT_REQUIRE_EXP ?? isProduction(config))) {
    const message = 'API tokens without exp are accepted, and are good for ever.';
    risks.push({message, fix: 'Set JWT_REQUIRE_EXP=true once the primary service puts exp into its tokens.'});
  }
  return risks;
}

/** Without limits one caller can have everything, and behind a proxy that is not known all callers are one. */
function limits(config: Config): Risk[] {
  const {PUBLIC_URL = '', TRUST_PROXY} = config;
  if (!isProduction(config)) return [];
  if (rateLimitsOf(config) === null) {
    const message = 'RATE_LIMITS=off lets one caller have all that the server can do.';
    return [{message, fix: 'Set RATE_LIMITS to on, or to figures of your own.'}];
  }
  if (TRUST_PROXY > 0 || !PUBLIC_URL.startsWith('https:')) return [];
  const message =
    'TRUST_PROXY=0 counts all clients as one: what speaks TLS for PUBLIC_URL stands in front of the server.';
  return [{message, fix: 'Set TRUST_PROXY to the number of proxies in front, each of which adds to X-Forwarded-For.'}];
}

const loopback = new Set(['127.0.0.1', '::1', 'localhost']);

function exposure(config: Config): Risk[] {
  if (loopback.has(config.HOST) || isProduction(config)) return [];
  return [
    {
      message: `HOST=${config.HOST} can be reached from outside, without the strict rules of production.`,
      fix: 'Set NODE_ENV=production, or HOST=127.0.0.1.',
    },
  ];
}

function origins(config: Config): Risk[] {
  if (!config.REALTIME_ORIGINS.some(origin => /^(https?:\/\/)?\*/.test(origin))) return [];
  const fix = 'Name the origins of your own pages in REALTIME_ORIGINS.';
  return [{message: 'REALTIME_ORIGINS lets pages of any origin in.', fix}];
}

function links(config: Config): Risk[] {
  const {PUBLIC_URL, CENTRIFUGO_API_URL, JWT_JWKS_URL, AUTH_VERIFY_URL} = config;
  const urls = {PUBLIC_URL, CENTRIFUGO_API_URL, JWT_JWKS_URL, AUTH_VERIFY_URL};
  return Object.entries(urls).flatMap(([name, url]): Risk[] => {
    if (url === undefined || !url.startsWith('http:') || isPrivate(new URL(url).hostname)) return [];
    return [{message: `${name} is plain http: tokens and keys can be read on the way.`, fix: `Use https in ${name}.`}];
  });
}

function metadata({AUTH_ALLOW_LINK_LOCAL}: Config): Risk[] {
  if (!AUTH_ALLOW_LINK_LOCAL) return [];
  const message = 'AUTH_ALLOW_LINK_LOCAL=true lets the URLs of the primary service lead to a cloud’s metadata.';
  return [{message, fix: 'Take AUTH_ALLOW_LINK_LOCAL away unless the primary service has a link-local address.'}];
}

function database(config: Config): Risk[] {
  if (!URL.canParse(config.DATABASE_URL)) return [];
  const {protocol, hostname, searchParams} = new URL(config.DATABASE_URL);
  if (!protocol.startsWith('postgres') || hostname === '' || isPrivate(hostname)) return [];
  const mode = searchParams.get('sslmode') ?? 'disable';
  if (!['disable', 'allow', 'no-verify'].includes(mode)) return [];
  const how = mode === 'no-verify' ? 'without a check of its certificate' : 'without TLS';
  return [{message: `The database at ${hostname} is reached ${how}.`, fix: 'Add sslmode=verify-full to DATABASE_URL.'}];
}

/** This machine, a name without a dot as container networks have them, or an address that no route leads to from outside. */
function isPrivate(host: string): boolean {
  const name = host.replace(/^\[|\]$/g, '');
  if (loopback.has(name) || !/[.:]/.test(name)) return true;
  return /^(127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|f[cd][0-9a-f]{2}:)|\.(internal|local|localhost|svc)$/i.test(
    name,
  );
}

/** Every file that may hold a secret or the chat itself: the project's, and those that the settings name. */
function privateFiles(config: Config, env: Record<string, string | undefined>, cwd: string): string[] {
  const named = settingNames.flatMap(name => env[`${name}_FILE`] ?? []).map(path => resolve(cwd, path));
  const database = parseDatabaseUrl(config.DATABASE_URL);
  return [
    ...(database.dialect === 'sqlite' ? [database.path, `${database.path}-wal`] : []),
    join(config.projectDir, '.chatctl'),
    configPath(config.projectDir),
    join(config.projectDir, '.env'),
    ...named,
  ];
}

const others = 0o007;

function looseFiles(paths: readonly string[]): Risk[] {
  return paths
    .filter(path => existsSync(path) && (statSync(path).mode & others) !== 0)
    .map(path => ({
      message: `${path} can be read by every user of this machine.`,
      fix: `chmod ${statSync(path).isDirectory() ? '700' : '600'} ${path}`,
    }));
}
