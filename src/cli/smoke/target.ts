// Which server the steps run against: the one that the settings and flags name, or one of their own.
import {mkdirSync, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {loadConfig, type Config} from '../../config.ts';
import {settingNames} from '../../settings.ts';
import {ChatError} from '../../core/errors.ts';
import {makeSecret} from '../../core/secrets.ts';
import {createLog} from '../../log.ts';
import {apiUrlOf, realtimeUrlOf} from '../addresses.ts';
import type {Cli} from '../context.ts';

export interface Target {
  apiUrl: string;
  realtimeUrl: string;
  config: Config;
  /** What `chatctl` is started with to work on the same chat, and where. */
  env: Record<string, string | undefined>;
  cwd: string;
  close(): Promise<void>;
}

export function targetOf(cli: Cli, spawn: boolean): Promise<Target> {
  return spawn ? spawned(cli) : running(cli);
}

async function running(cli: Cli): Promise<Target> {
  const {globals, io} = cli;
  const config = await cli.config();
  const apiUrl = await apiUrlOf(cli);
  const realtimeUrl = await realtimeUrlOf(cli);
  return {
    apiUrl,
    realtimeUrl,
    config,
    env: {
      ...io.env,
      ...(globals.config !== undefined && {CHATCTL_CONFIG: globals.config}),
      ...(globals.db !== undefined && {DATABASE_URL: globals.db}),
      ...(globals.centrifugoApiUrl !== undefined && {CENTRIFUGO_API_URL: globals.centrifugoApiUrl}),
      CHATCTL_API_URL: apiUrl,
      CHATCTL_REALTIME_URL: realtimeUrl,
    },
    cwd: io.cwd,
    close: () => Promise.resolve(),
  };
}

/** A server on a fresh database and free ports, which takes nothing from the project around it. */
async function spawned(cli: Cli): Promise<Target> {
  const {globals, io} = cli;
  const given = {'--db': globals.db, '--api-url': globals.apiUrl, '--realtime-url': globals.realtimeUrl};
  const [flag] = Object.entries(given).find(([, value]) => value !== undefined) ?? [];
  if (flag !== undefined) {
    throw new ChatError('invalid_input', `--spawn starts a server of its own; ${flag} names another.`, {
      hint: 'Leave out one of them.',
    });
  }
  const cwd = mkdtempSync(join(tmpdir(), 'chatctl-smoke-'));
  const remove = () => rmSync(cwd, {recursive: true, force: true});
  try {
    // Without it the settings of a project above the folder would be found.
    mkdirSync(join(cwd, '.chatctl'));
    const settings = {
      DATABASE_URL: `sqlite:${join(cwd, '.chatctl/chat.db')}`,
      JWT_SECRET: makeSecret(),
      CENTRIFUGO_TOKEN_SECRET: makeSecret(),
      CENTRIFUGO_API_KEY: makeSecret(),
      SQLITE_DRIVER: io.env['SQLITE_DRIVER'],
      PORT: '0',
      REALTIME_PORT: '0',
    };
    const config = loadConfig({env: settings, cwd});
    const log = createLog(globals.verbose ? 'info' : 'silent', 'stderr', true);
    const {startServer} = await import('../../serve.ts');
    const server = await startServer(config, {log, migrate: true, throwaway: true});
    const {apiUrl, realtimeUrl = ''} = server;
    return {
      apiUrl,
      realtimeUrl,
      config,
      env: {...withoutSettings(io.env), ...settings, CHATCTL_API_URL: apiUrl, CHATCTL_REALTIME_URL: realtimeUrl},
      cwd,
      async close() {
        await server.close();
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}

function withoutSettings(env: Record<string, string | undefined>): Record<string, string | undefined> {
  const ours = new Set<string>(settingNames.flatMap(name => [name, `${name}_FILE`]));
  return Object.fromEntries(Object.entries(env).filter(([name]) => !ours.has(name) && !name.startsWith('CHATCTL_')));
}
