// Follows what is stored, by looking again and again: it works beside any server and without one.
import {listMessages} from '../../core/message-pages.ts';
import {listMessagesSince} from '../../core/messages.ts';
import {presentMessage, type MessageJson} from '../../core/present.ts';
import type {Room} from '../../db/rooms.ts';
import type {Cli} from '../context.ts';
import {exits} from '../exit.ts';
import {startFollowing, type Following} from '../following.ts';
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

const pageSize = 100;

export async function tailMessages(cli: Cli, references: string[] | undefined, options: TailOptions): Promise<void> {
  const rooms: Room[] = [];
  for (const reference of await pickRooms(cli, references)) rooms.push(await toRoom(cli, reference));
  const session = startSession(cli, options);
  try {
    session.tell({type: 'ready', rooms: rooms.map(({id, name}) => ({id, name}))});
    const places = new Map<Room, number>();
    for (const room of rooms) places.set(room, await showLast(cli, room, options.last, session));
    if (!options.follow) session.end('last', exits.ok);
    while (!session.over()) {
      for (const [room, seq] of places) places.set(room, await showNew(cli, room, seq, session));
      await session.pause(options.interval);
    }
    session.finish({messages: session.shown()});
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

interface Session extends Following {
  message(room: Room, message: MessageJson): void;
  shown(): number;
}

function startSession(cli: Cli, options: TailOptions): Session {
  const timeoutCode = options.count === undefined ? exits.ok : exits.timeout;
  const following = startFollowing(cli, {for: options.for, timeoutCode});
  let shown = 0;
  return {
    ...following,
    shown: () => shown,
    message(room, message) {
      if (following.over()) return;
      shown += 1;
      following.tell({type: 'message', message}, readable(cli, room, message));
      if (shown === options.count) following.end('count', exits.ok);
    },
  };
}

function readable(cli: Cli, room: Room, {id, user, content, created_at}: MessageJson): string {
  const parts = [created_at, room.name, String(id), user?.id ?? 'system', content].map(inCell);
  return parts.join(cli.format === 'table' ? '  ' : '\t');
}
