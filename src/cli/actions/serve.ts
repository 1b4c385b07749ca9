import {configPath} from '../../config.ts';
import type {SettingName} from '../../settings.ts';
import {existsSync} from 'node:fs';
import {dirname} from 'node:path';
import {parseDatabaseUrl} from '../../db/connect.ts';
import {createLog} from '../../log.ts';
import {version} from '../../version.ts';
import {announceServer} from '../addresses.ts';
import type {Cli} from '../context.ts';
import {Exit, exits} from '../exit.ts';
import type {Signal} from '../io.ts';

interface ServeOptions {
  host?: string;
  port?: string;
  migrate?: boolean;
  log: 'json' | 'pretty';
}

/** Runs until a signal: then it takes no more requests, finishes those under way, delivers and closes. */
export async function serve(cli: Cli, options: ServeOptions): Promise<void> {
  const config = await cli.config(portFlags(options));
  const log = createLog(config.LOG_LEVEL, 'stdout', options.log === 'pretty');
  const signal = nextSignal(cli);
  // Before what takes a while, and may wait for the database: whoever watches sees that it is under way, and on what.
  log.info({version, database: parseDatabaseUrl(config.DATABASE_URL).label}, 'starting');
  const {startServer} = await import('../../serve.ts');
  const server = await startServer(config, {log, migrate: options.migrate ?? false});
  // Only a project's server is looked for by the project's other commands.
  const inProject = existsSync(dirname(configPath(config.projectDir)));
  const forget = inProject ? announceServer(config, server.apiUrl, server.realtimeUrl) : undefined;
  const ended = await signal;
  log.info({signal: ended}, 'stopping');
  forget?.();
  await server.close(ended === 'SIGTERM' ? {lastRequestsMs} : {});
  log.info('stopped');
  throw new Exit(ended === 'SIGTERM' ? exits.terminated : exits.interrupted);
}

/** Who sends SIGTERM replaces a server; at a terminal nobody wants to wait. */
const lastRequestsMs = 1_000;

export function portFlags(options: {host?: string; port?: string}): Partial<Record<SettingName, string>> {
  return {...(options.host && {HOST: options.host}), ...(options.port && {PORT: options.port})};
}

/** The first signal that asks to end. The one after it ends the process at once. */
export function nextSignal(cli: Cli): Promise<Signal> {
  return new Promise(resolve => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) cli.io.onSignal(signal, () => resolve(signal));
  });
}
