// What is risky about these settings, each with its repair. In production a risk is a failure; elsewhere it is a warning,
// because a developer's machine is allowed most of it.
import {existsSync, statSync} from 'node:fs';
import {join, resolve} from 'node:path';
import {configPath, isProduction, settingNames, type Config, type Secret} from '../../config.ts';
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

const secretNames = [
  'JWT_SECRET',
  'SECRET_KEY',
  'JWT_SECRET_PREVIOUS',
  'CENTRIFUGO_TOKEN_SECRET',
  'CENTRIFUGO_API_KEY',
  'METRICS_KEY',
] as const;
const minSecretBytes = 32;
const makeOne = 'Make one with: openssl rand -base64 32';
/** What stands in documentation and templates. Whoever reads those knows it. */
const sample =
  /^(secret|changeme|change-me|password|api_?key|your[-_].*|my[-_]secret.*|.*256-bit-secret.*|bbe7d157-.*)$/i;

function secrets(config: Config): Risk[] {
  const set = secretNames.flatMap(name => {
    const value: Secret | undefined = config[name];
    return value ? [{name, text: value.reveal()}] : [];
  });
  const weak = set.flatMap(({name, text}): Risk[] => {
    if (sample.test(text)) return [{message: `${name} is a sample that everybody knows.`, fix: makeOne}];
    if (Buffer.byteLength(text) < minSecretBytes)
      return [{message: `${name} is shorter than ${minSecretBytes} bytes.`, fix: makeOne}];
    return new Set(text).size < 8 ? [{message: `${name} repeats few characters.`, fix: makeOne}] : [];
  });
  const shared = set.flatMap(({name, text}, i): Risk[] => {
    const other = set.slice(0, i).find(each => each.text === text)?.name;
    return other === undefined
      ? []
      : [
          {
            message: `${name} is the same as ${other}: who holds one holds both.`,
            fix: `Give ${name} a value of its own.`,
          },
        ];
  });
  return [...weak, ...shared];
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
  return (['CORS_ORIGINS', 'REALTIME_ORIGINS'] as const)
    .filter(name => config[name].some(origin => /^(https?:\/\/)?\*/.test(origin)))
    .map(name => ({
      message: `${name} lets pages of any origin in.`,
      fix: `Name the origins of your own pages in ${name}.`,
    }));
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
