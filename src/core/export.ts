// Everything as lines that an import reads again: users, rooms, members and messages as they were at one moment, however
// much is written meanwhile.
import {createHash} from 'node:crypto';
import type {Queryable} from '../db/connect.ts';
import {dumpMembers, dumpMessages, dumpRooms, dumpUsers, type DumpFilter} from '../db/dump.ts';
import {lastId} from '../db/sequences.ts';
import {inSnapshot} from '../db/snapshot.ts';
import {mustBeManager} from './access.ts';
import type {Actor, Chat} from './chat.ts';
import {exportVersion, kinds, writers, type EndLine, type HeadLine, type Kind, type Records} from './records.ts';

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
    await write(lineOf(await headOf(chat, q, wish)), 0);
    for (const kind of kinds.filter(each => wish.kinds.includes(each))) {
      for await (const {text, rows} of pagesOf(q, kind, wish)) {
        hash.update(text);
        counts[kind] += rows;
        await write(text, rows);
      }
    }
    const end: EndLine = {type: 'end', counts, sha256: hash.digest('hex')};
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

const dumps: {
  [K in Kind]: (q: Queryable, wish: ExportWish, after: Records[K] | undefined) => Promise<Records[K][]>;
} = {
  users: (q, wish, after) => dumpUsers(q, wish, after?.id ?? '', pageSize),
  rooms: (q, wish, after) => dumpRooms(q, wish, after?.id ?? 0, pageSize),
  members: (q, wish, after) => dumpMembers(q, wish, after, pageSize),
  messages: (q, wish, after) => dumpMessages(q, wish, after, pageSize),
};

async function* pagesOf<K extends Kind>(q: Queryable, kind: K, wish: ExportWish): AsyncGenerator<PageText> {
  let after: Records[K] | undefined;
  for (;;) {
    const page: Records[K][] = await dumps[kind](q, wish, after);
    if (page.length > 0) yield {text: page.map(each => lineOf(writers[kind](each))).join(''), rows: page.length};
    if (page.length < pageSize) return;
    after = page.at(-1);
  }
}

function lineOf(value: object): string {
  return `${JSON.stringify(value)}\n`;
}
