// Where the running server is. `dev` leaves its real addresses in .chatctl/server.json, because a taken port moves it;
// the other commands of the project look there when nobody says otherwise.
import {readFileSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {publicUrl, type Config} from '../config.ts';
import {ChatError} from '../core/errors.ts';
import {parseDatabaseUrl} from '../db/connect.ts';
import type {Cli} from './context.ts';

interface ServerFile {
  api_url: string;
  realtime_url: string | null;
  pid: number;
  /** Which database it serves, without a password. */
  database: string;
}

function pathOf(config: Config): string {
  return join(config.projectDir, '.chatctl', 'server.json');
}

/** Leaves word of a running server. Answers how to take it away again. */
export function announceServer(config: Config, apiUrl: string, realtimeUrl: string | undefined): () => void {
  const path = pathOf(config);
  const database = labelOf(config);
  const file: ServerFile = {api_url: apiUrl, realtime_url: realtimeUrl ?? null, pid: process.pid, database};
  rmSync(path, {force: true});
  writeFileSync(path, `${JSON.stringify(file)}\n`, {mode: 0o600, flag: 'wx'});
  return () => rmSync(path, {force: true});
}

const labelOf = (config: Config) => parseDatabaseUrl(config.DATABASE_URL).label;

interface Announced extends ServerFile {
  /** Whether it is on the database that the settings name. */
  servesThis: boolean;
}

/** What a server that still lives left word of. A killed one leaves the file, so its process is looked for. */
export function announcedServer(config: Config): Announced | undefined {
  try {
    const file = JSON.parse(readFileSync(pathOf(config), 'utf8')) as ServerFile;
    process.kill(file.pid, 0);
    return {...file, servesThis: file.database === labelOf(config)};
  } catch {
    return undefined;
  }
}

/** The one to ask: what is about one database is not looked for at the server of another. */
function announced(config: Config): ServerFile | undefined {
  const server = announcedServer(config);
  return server?.servesThis ? server : undefined;
}

/** The API's base URL: --api-url, CHATCTL_API_URL, the running `dev`, the settings. */
export async function apiUrlOf(cli: Cli): Promise<string> {
  const config = await cli.config();
  const url = cli.globals.apiUrl ?? cli.io.env['CHATCTL_API_URL'] ?? announced(config)?.api_url ?? publicUrl(config);
  return mustBeUrl(url, ['http:', 'https:'], '--api-url').replace(/\/+$/, '');
}

/** Where clients connect: --realtime-url, CHATCTL_REALTIME_URL, Centrifugo's host, the running `dev`, the settings. */
export async function realtimeUrlOf(cli: Cli): Promise<string> {
  const config = await cli.config();
  const url =
    cli.globals.realtimeUrl ??
    cli.io.env['CHATCTL_REALTIME_URL'] ??
    ofCentrifugo(config) ??
    announced(config)?.realtime_url ??
    `ws://${new URL(publicUrl(config)).hostname}:${config.REALTIME_PORT}/connection/websocket`;
  return mustBeUrl(url, ['ws:', 'wss:'], '--realtime-url');
}

function ofCentrifugo(config: Config): string | undefined {
  if (config.CENTRIFUGO_API_URL === undefined) return undefined;
  const {protocol, host} = new URL(config.CENTRIFUGO_API_URL);
  return `${protocol === 'https:' ? 'wss' : 'ws'}://${host}/connection/websocket`;
}

function mustBeUrl(url: string, protocols: readonly string[], flag: string): string {
  if (URL.canParse(url) && protocols.includes(new URL(url).protocol)) return url;
  throw new ChatError('bad_format', `${flag} must be a URL that begins with ${protocols[0]}//.`);
}
