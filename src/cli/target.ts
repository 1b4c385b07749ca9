// What is about to be changed, told by what it really is and not by the flag that named it.
import {basename} from 'node:path';
import {countAll} from '../core/status.ts';
import type {Actor, Chat} from '../core/chat.ts';
import type {DatabaseTarget} from '../db/connect.ts';
import {figure} from './text.ts';

export interface Target {
  driver: 'sqlite' | 'postgres';
  host: string | null;
  database: string;
  counts: {rooms: number; users: number; members: number; messages: number};
}

export async function targetOf(chat: Chat, actor: Actor): Promise<Target> {
  return {...placeOf(chat.db.target), counts: await countAll(chat, actor)};
}

function placeOf(target: DatabaseTarget): Omit<Target, 'counts'> {
  if (target.dialect === 'sqlite') return {driver: 'sqlite', host: null, database: target.path};
  const {host, pathname} = new URL(target.url);
  return {driver: 'postgres', host, database: decodeURIComponent(pathname.slice(1))};
}

/** What is typed to confirm: the file's name, or the database's. */
export function nameOf(target: DatabaseTarget): string {
  return target.dialect === 'sqlite' ? basename(target.path) : new URL(target.url).pathname.slice(1);
}

/** `postgres chat_prod on db-1: 40 rooms, 200 users, 48,211 messages` */
export function fingerprint({driver, host, database, counts}: Target): string {
  const counted = (count: number, noun: string) => `${figure(count)} ${noun}${count === 1 ? '' : 's'}`;
  const place = host === null ? `${driver} ${database}` : `${driver} ${database} on ${host}`;
  return `${place}: ${counted(counts.rooms, 'room')}, ${counted(counts.users, 'user')}, ${counted(counts.members, 'membership')}, ${counted(counts.messages, 'message')}`;
}
