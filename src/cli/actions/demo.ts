// What `chatctl dev` makes on its server and tells of it: demo data, users with tokens, and a room.
import {relative} from 'node:path';
import {apiMinter} from '../../keys.ts';
import type {Config} from '../../config.ts';
import {ChatError} from '../../core/errors.ts';
import type {UserId} from '../../core/ids.ts';
import {putMember} from '../../core/members.ts';
import {createRoom} from '../../core/rooms.ts';
import {planSeed, type Preset} from '../../core/seed.ts';
import {findSeed} from '../../core/seed-place.ts';
import {countAll} from '../../core/status.ts';
import {erased, getUser, provisionUser} from '../../core/users.ts';
import {findRoomsByName, type Room} from '../../db/rooms.ts';
import type {RunningServer} from '../../serve.ts';
import {version} from '../../version.ts';
import {announceServer} from '../addresses.ts';
import type {Cli} from '../context.ts';
import {commandName, nextCommand} from '../command-name.ts';
import {isJson} from '../output.ts';
import {loadSeed} from './seed.ts';

const tokenTtlSeconds = 7 * 86_400;
const demoRoom = 'general';

/**
 * Demo data as `chatctl seed` makes it, at the first start only: the next one goes on with what there is, also with a seed
 * that was interrupted. Answers whether all of it is there.
 */
export async function seedOnce(
  cli: Cli,
  {chat}: RunningServer,
  preset: Preset,
  signal: Promise<NodeJS.Signals>,
): Promise<boolean> {
  const plan = planSeed(preset, {random: 1});
  const {same} = await findSeed(chat, cli.actor, plan);
  const {users, rooms} = await countAll(chat, cli.actor);
  if (users + rooms > 0 && !same) {
    cli.note('There is data already; nothing was seeded.');
    return true;
  }
  let asked = false;
  void signal.then(() => (asked = true));
  return (await loadSeed(cli, chat, plan, same, {asked: () => asked})).whole;
}

/** Makes the demo, and tells of it. Answers how to forget that it runs. */
export async function beReady(
  cli: Cli,
  config: Config,
  server: RunningServer,
  wanted: readonly UserId[],
): Promise<() => void> {
  const users = await ensureUsers(cli, server, wanted);
  const {room, kept} = await ensureRoom(cli, server, users);
  const forget = announceServer(config, server.apiUrl, server.realtimeUrl);
  if (kept) cli.note('Going on with the data of an earlier start.');
  for (const line of movedPorts(config, server)) cli.note(line);
  tellReady(cli, server, room, await tokensOf(config, users));
  return forget;
}

/** Those of the demo users who can be had, made where they are missing. Of the others it is said why not. */
async function ensureUsers(cli: Cli, {chat}: RunningServer, wanted: readonly UserId[]): Promise<UserId[]> {
  const users: UserId[] = [];
  for (const id of wanted) {
    try {
      await provisionUser(chat, id, titleOf(id));
      users.push(id);
    } catch (error) {
      if (!(error instanceof ChatError) || error.code !== 'user_deactivated') throw error;
      const {erasedAt, username} = await getUser(chat, cli.actor, id);
      cli.note(erasedAt ? erasedLine(cli, id, wanted) : deactivatedLine(cli, error, id, username));
    }
  }
  return users;
}

const titleOf = (id: string) => id.charAt(0).toUpperCase() + id.slice(1);

function erasedLine(cli: Cli, id: UserId, wanted: readonly UserId[]): string {
  const spare = ['carol', 'dave', 'erin'].find(each => !wanted.some(user => user === each));
  const others = [...wanted.filter(user => user !== id), ...(spare === undefined ? [] : [spare])];
  return `${erased(id).message} Start with others: ${nextCommand(cli, ['dev'], [], ['--users', others.join(',')])}`;
}

function deactivatedLine(cli: Cli, {message}: ChatError, id: UserId, username: string): string {
  return `${message} To have them back: ${nextCommand(cli, ['user', 'upsert'], [id], ['--username', username])}`;
}

/** The room of the demo users, made where it is missing. */
async function ensureRoom(
  cli: Cli,
  {chat}: RunningServer,
  users: readonly UserId[],
): Promise<{room: Room; kept: boolean}> {
  const [existing] = await findRoomsByName(chat.db, demoRoom, 1);
  const room = existing ?? (await createRoom(chat, cli.actor, {name: demoRoom, members: [...users]}));
  if (existing) for (const user of users) await putMember(chat, cli.actor, room.id, user);
  return {room, kept: existing !== undefined};
}

/** A token of each user, as long as the settings let one live. */
async function tokensOf(config: Config, users: readonly UserId[]): Promise<Record<string, string>> {
  const mint = apiMinter(config);
  const ttl = Math.min(tokenTtlSeconds, config.JWT_MAX_AGE ?? Infinity);
  const now = Math.floor(Date.now() / 1_000);
  const minted = await Promise.all(users.map(async user => [user, (await mint({sub: user}, ttl, now)).token] as const));
  return Object.fromEntries(minted);
}

function tellReady(cli: Cli, server: RunningServer, room: Room, tokens: Record<string, string>): void {
  const {apiUrl: api, realtimeUrl: realtime} = server;
  if (isJson(cli.format)) return cli.line({type: 'ready', api, realtime: realtime ?? null, room: room.id, tokens});
  for (const line of readyLines(cli, server, room, tokens)) cli.io.stdout.write(`${line}\n`);
}

function movedPorts(config: Config, server: RunningServer): string[] {
  const moved: string[] = [];
  const tell = (name: string, wanted: number, url: string | undefined) => {
    const got = url === undefined ? wanted : Number(new URL(url).port);
    if (wanted !== 0 && got !== wanted) moved.push(`Port ${wanted} is taken; ${name} is on ${got}.`);
  };
  if (config.PUBLIC_URL === undefined) tell('the API', config.PORT, server.apiUrl);
  tell('real-time', config.REALTIME_PORT, server.realtimeUrl);
  return moved;
}

function readyLines(cli: Cli, server: RunningServer, room: Room, tokens: Record<string, string>): string[] {
  const {apiUrl, realtimeUrl, chat} = server;
  const {target} = chat.db;
  const names = Object.keys(tokens);
  const database = target.dialect === 'sqlite' ? relative(cli.io.cwd, target.path) : target.label;
  return [
    `chatctl ${version} runs. Ctrl-C ends it.`,
    '',
    `  API        ${apiUrl}/api/  (read about it: ${apiUrl}/api/docs/)`,
    `  Real-time  ${realtimeUrl ?? 'by Centrifugo'}`,
    `  Database   ${database}`,
    `  Room       ${room.id} "${room.name}" with ${names.join(', ') || 'nobody'}`,
    '',
    ...personLines(cli, apiUrl, room, tokens),
  ];
}

/** What one can do as one of the demo users. */
function personLines(cli: Cli, apiUrl: string, room: Room, tokens: Record<string, string>): string[] {
  const names = Object.keys(tokens);
  const [poster, listener = poster] = names;
  if (poster === undefined) return [];
  const chatctl = commandName(cli.io);
  const auth = `-H "Authorization: Bearer ${tokens[poster]}"`;
  return [
    `Listen as ${listener}, in another terminal:`,
    '',
    `${chatctl} listen ${listener}`,
    '',
    `Post as ${poster}, over REST or with the command line:`,
    '',
    `curl -X POST ${auth} -H "Content-Type: application/json" -d '{"content":"hello"}' ${apiUrl}/api/rooms/${room.id}/messages/`,
    `${chatctl} message post ${room.id} hello --as ${poster}`,
    '',
    'Tokens that a client needs for real-time:',
    '',
    `curl ${auth} ${apiUrl}/api/token/connection/`,
    `curl ${auth} "${apiUrl}/api/token/subscription/?channel=personal:${poster}"`,
    '',
    'API tokens:',
    '',
    ...names.map(name => `${name}  ${tokens[name]}`),
    '',
  ];
}
