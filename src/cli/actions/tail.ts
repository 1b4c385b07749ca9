// Follows what is stored, by looking again and again: it works beside any server and without one.
import {setTimeout as delay} from 'node:timers/promises';
import {listMessages} from '../../core/message-pages.ts';
import {listMessagesSince} from '../../core/messages.ts';
import {presentMessage, type MessageJson} from '../../core/present.ts';
import type {Room} from '../../db/rooms.ts';
import type {Cli} from '../context.ts';
import {Exit, exits} from '../exit.ts';
import {inCell} from '../text.ts';
import {pickRooms} from './choices.ts';
import {toRoom} from './parse.ts';

interface TailOptions {
  last: number;
  follow: boolean;
  count?: number;
  for?: number;
  interval: number;
}

type Reason = 'last' | 'count' | 'for' | 'timeout' | 'signal' | 'closed';

const pageSize = 100;

export async function tailMessages(cli: Cli, references: string[] | undefined, options: TailOptions): Promise<void> {
  const rooms: Room[] = [];
  for (const reference of await pickRooms(cli, references)) rooms.push(await toRoom(cli, reference));
  const session = startSession(cli, options);
  try {
    session.tell({type: 'ready', rooms: rooms.map(({id, name}) => ({id, name}))}, undefined);
    const places = new Map<Room, number>();
    for (const room of rooms) places.set(room, await showLast(cli, room, options.last, session));
    if (!options.follow) session.end('last', exits.ok);
    while (!session.over()) {
      for (const [room, seq] of places) places.set(room, await showNew(cli, room, seq, session));
      await session.pause(options.interval);
    }
    const {reason, code} = session.over() ?? {reason: 'closed', code: exits.ok};
    session.tell({type: 'end', reason, messages: session.shown(), exit_code: code}, undefined);
    if (code !== exits.ok) throw new Exit(code);
  } finally {
    session.close();
  }
}

/** Answers the seq of the newest message. */
async function showLast(cli: Cli, room: Room, last: number, session: Session): Promise<number> {
  const chat = await cli.chat();
  const newest = Math.min(last, pageSize);
  if (newest === 0) return room.lastSeq;
  let from = Math.max(room.lastSeq - last, 0);
  if (last <= pageSize) {
    const {items} = await listMessages(chat, cli.actor, room.id, {page: 1, limit: newest});
    for (const message of items.toReversed()) session.message(room, presentMessage(message));
    return items[0]?.seq ?? room.lastSeq;
  }
  while (from < room.lastSeq && !session.over()) from = await showNew(cli, room, from, session);
  return from;
}

async function showNew(cli: Cli, room: Room, seq: number, session: Session): Promise<number> {
  const found = await listMessagesSince(await cli.chat(), cli.actor, room.id, seq, pageSize);
  for (const message of found) session.message(room, presentMessage(message));
  return found.at(-1)?.seq ?? seq;
}

interface Session {
  message(room: Room, message: MessageJson): void;
  tell(record: object, text: string | undefined): void;
  end(reason: Reason, code: number): void;
  over(): {reason: Reason; code: number} | undefined;
  /** Ends sooner when it is over. */
  pause(ms: number): Promise<void>;
  shown(): number;
  close(): void;
}

function startSession(cli: Cli, options: TailOptions): Session {
  const {io} = cli;
  const stop = new AbortController();
  let ended: {reason: Reason; code: number} | undefined;
  let shown = 0;

  function end(reason: Reason, code: number): void {
    ended ??= {reason, code};
    stop.abort();
  }

  function tell(record: object, text: string | undefined): void {
    if (cli.format === 'json' || cli.format === 'ndjson') cli.line(record);
    else if (text !== undefined) io.stdout.write(`${text}\n`);
  }

  const timers = [
    options.for === undefined ? undefined : setTimeout(() => end('for', exits.ok), options.for),
    cli.globals.timeout === undefined
      ? undefined
      : setTimeout(() => end('timeout', options.count === undefined ? exits.ok : exits.timeout), cli.globals.timeout),
  ];
  const onGone = () => end('closed', exits.ok);
  io.stdout.once('error', onGone);
  const offSignals = [
    io.onSignal('SIGINT', () => end('signal', exits.interrupted)),
    io.onSignal('SIGTERM', () => end('signal', exits.terminated)),
  ];

  return {
    tell,
    end,
    over: () => ended,
    shown: () => shown,
    message(room, message) {
      if (ended) return;
      shown += 1;
      tell({type: 'message', message}, readable(cli, room, message));
      if (shown === options.count) end('count', exits.ok);
    },
    pause: ms => delay(ms, undefined, {signal: stop.signal}).catch(() => undefined),
    close() {
      for (const timer of timers) clearTimeout(timer);
      for (const off of offSignals) off();
      io.stdout.off('error', onGone);
    },
  };
}

function readable(cli: Cli, room: Room, {id, user, content, created_at}: MessageJson): string {
  const parts = [created_at, room.name, String(id), user?.id ?? 'system', content].map(inCell);
  return parts.join(cli.format === 'table' ? '  ' : '\t');
}
