// What is risky about these settings, each with its repair. In production a risk is a failure; elsewhere it is a warning,
// because a developer's machine is allowed most of it.
import {existsSync, statSync} from 'node:fs';
import {join, resolve} from 'node:path';
import {riskyAuth} from '../../auth.ts';
import {configPath, isProduction, settingNames, type Config} from '../../config.ts';
import {weaknessOf} from '../../core/secrets.ts';
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
  const risks = [...risksOf(config), ...looseFiles(secretFiles(config, cli.io.env, cli.io.cwd))];
  if (risks.length === 0) return {status: 'ok', message: 'no risky setting was found', fix: null};
  return {
    status: isProduction(config) ? 'fail' : 'warn',
    message: risks.map(risk => risk.message).join(' '),
    fix: risks.map(risk => risk.fix).join(' '),
  };
}

/** What the settings themselves tell. */
export function risksOf(config: Config): Risk[] {
  return [secrets, expiry, exposure, origins, links, database].flatMap(check => check(config));
}

const makeOne = 'Make one with: openssl rand -base64 32';

/** Those that production refuses, and the keys, which it cannot do more than warn about. */
function secrets(config: Config): Risk[] {
  const {CENTRIFUGO_API_KEY, METRICS_KEY, JWT_SECRET, SECRET_KEY, CENTRIFUGO_TOKEN_SECRET} = config;
  const others = Object.entries({JWT_SECRET, SECRET_KEY, CENTRIFUGO_TOKEN_SECRET});
  const keys = Object.entries({CENTRIFUGO_API_KEY, METRICS_KEY}).flatMap(([name, value]): Risk[] => {
    if (!value) return [];
    const [same] = others.find(([, other]) => other?.reveal() === value.reveal()) ?? [];
    if (same !== undefined) {
      const fix = `Give ${name} a value of its own.`;
      return [{message: `${name} is the same as ${same}: who holds one holds both.`, fix}];
    }
    const weakness = weaknessOf(value.reveal());
    return weakness === undefined ? [] : [{message: `${name} ${weakness}.`, fix: makeOne}];
  });
  const known = new Set(keys.map(risk => risk.message));
  const weak = riskyAuth(config).filter(message => !known.has(message));
  return [...weak.map(message => ({message, fix: makeOne})), ...keys];
}

function expiry(config: Config): Risk[] {
  if (config.JWT_REQUIRE_EXP ?? isProduction(config)) return [];
  const message = 'API tokens without exp are accepted, and are good for ever.';
  return [{message, fix: 'Set JWT_REQUIRE_EXP=true once the primary service puts exp into its tokens.'}];
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
  const urls = {PUBLIC_URL: config.PUBLIC_URL, CENTRIFUGO_API_URL: config.CENTRIFUGO_API_URL};
  return Object.entries(urls).flatMap(([name, url]): Risk[] => {
    if (url === undefined || !url.startsWith('http:') || isPrivate(new URL(url).hostname)) return [];
    return [{message: `${name} is plain http: tokens and keys can be read on the way.`, fix: `Use https in ${name}.`}];
  });
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

/** Every file that may hold a secret: the project's, and those that the settings name. */
function secretFiles(config: Config, env: Record<string, string | undefined>, cwd: string): string[] {
  const named = settingNames.flatMap(name => env[`${name}_FILE`] ?? []).map(path => resolve(cwd, path));
  return [
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
