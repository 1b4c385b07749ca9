// Everything as lines that an import reads again: users, rooms, members and messages as they were at one moment, however
// much is written meanwhile.
import {createHash} from 'node:crypto';
import type {Queryable} from '../db/connect.ts';
import {dumpMembers, dumpMessages, dumpRooms, dumpUsers, type DumpFilter} from '../db/dump.ts';
import type {MemberRecord, MessageRecord, RoomRecord, UserRecord} from '../db/load.ts';
import {lastId} from '../db/sequences.ts';
import {inSnapshot} from '../db/snapshot.ts';
import {mustBeManager} from './access.ts';
import type {Actor, Chat} from './chat.ts';
import {exportVersion, kinds, writers, type EndLine, type HeadLine, type Kind} from './records.ts';

const pageSize = 1_000;

export interface ExportWish extends DumpFilter {
  kinds: readonly Kind[];
}

/** Writes all lines, the first and the last too, a page at a time. Answers the last. */
export async function exportLines(
  chat: Chat,
  actor: Actor,
  wish: ExportWish,
  write: (text: string, rows: number) => Promise<void>,
): Promise<EndLine> {
  mustBeManager(actor, 'export');
  return inSnapshot(chat.db, async q => {
    const hash = createHash('sha256');
    const counts = {users: 0, rooms: 0, members: 0, messages: 0};
    const head = lineOf(await headOf(chat, q, wish));
    await write(head, 0);
    for (const kind of kinds.filter(each => wish.kinds.includes(each))) {
      for await (const {text, rows} of pagesOf(q, kind, wish)) {
        hash.update(text);
        counts[kind] += rows;
        await write(text, rows);
      }
    }
    const end: EndLine = {type: 'end', counts, sha256: hash.digest('hex'), head_sha256: sha256(head)};
    await write(lineOf(end), 0);
    return end;
  });
}

async function headOf(chat: Chat, q: Queryable, wish: ExportWish): Promise<HeadLine> {
  return {
    type: 'chatctl_export',
    version: exportVersion,
    exported_at: chat.now(),
    database: chat.databaseId,
    kinds: kinds.filter(each => wish.kinds.includes(each)),
    highest: {rooms: await lastId(q, 'rooms'), messages: await lastId(q, 'messages')},
  };
}

interface PageText {
  text: string;
  rows: number;
}

/** The lines of a kind; each page begins behind the last row of the one before. */
function pagesOf(q: Queryable, kind: Kind, wish: ExportWish): AsyncGenerator<PageText> {
  switch (kind) {
    case 'users':
      return paged((after: UserRecord | undefined) => dumpUsers(q, wish, after?.id ?? '', pageSize), writers.users);
    case 'rooms':
      return paged((after: RoomRecord | undefined) => dumpRooms(q, wish, after?.id ?? 0, pageSize), writers.rooms);
    case 'members':
      return paged((after: MemberRecord | undefined) => dumpMembers(q, wish, after, pageSize), writers.members);
    case 'messages':
      return paged((after: MessageRecord | undefined) => dumpMessages(q, wish, after, pageSize), writers.messages);
  }
}

async function* paged<T>(
  read: (after: T | undefined) => Promise<T[]>,
  toLine: (record: T) => object,
): AsyncGenerator<PageText> {
  let after: T | undefined;
  for (;;) {
    const page = await read(after);
    if (page.length > 0) yield {text: page.map(each => lineOf(toLine(each))).join(''), rows: page.length};
    if (page.length < pageSize) return;
    after = page.at(-1);
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function lineOf(value: object): string {
  return `${JSON.stringify(value)}\n`;
}
