// Who changed what, when and through which door: one line for each change, written in the transaction of the change,
// so that there is neither a change without its line nor a line without its change.
//
// Told is what people do to rooms, to each other and to the delivery. Not told is what a user does with messages of
// their own: a post is its own record. No line holds content, a name or a secret: ids, roles, counts and field names.
import {countAudit, insertAudit, listAudit as listRows, type AuditFilter, type AuditRow} from '../db/audit.ts';
import type {Tx} from '../db/transaction.ts';
import {mustBeManager} from './access.ts';
import type {Actor, Chat} from './chat.ts';
import type {RoomId, UserId} from './ids.ts';
import {countLimit, stretchOf, type Page, type Stretch} from './pages.ts';

/** Everything that is told, by its noun. */
export const auditActions = [
  'room.create',
  'room.update',
  'room.delete',
  'member.join',
  'member.leave',
  'member.add',
  'member.remove',
  'member.role',
  'members.change',
  'message.post',
  'message.delete',
  'user.upsert',
  'user.deactivate',
  'user.export',
  'user.erase',
  'user.erased',
  'import.begin',
  'import.end',
  'event.retry',
  'event.drop',
  'streams.repair',
] as const;
export type AuditAction = (typeof auditActions)[number];

/** By which way a change came in. */
export type Door = 'rest' | 'cli';

const doors: Record<Actor['kind'], Door> = {user: 'rest', service: 'rest', operator: 'cli'};

export interface AuditEntry {
  action: AuditAction;
  room?: RoomId | undefined;
  /** Whom it was done to, or in whose name. */
  user?: UserId | undefined;
  detail?: Record<string, string | number | boolean | null | readonly string[]> | undefined;
}

/** Adds a line. It goes out with the last writes of the transaction, so that it costs no round trip of its own. */
export function audit(chat: Chat, tx: Tx, actor: Actor, entry: AuditEntry): void {
  auditAll(chat, tx, [{actor, ...entry}]);
}

/** The same for the changes of a batch. */
export function auditAll(chat: Chat, tx: Tx, entries: readonly (AuditEntry & {actor: Actor})[]): void {
  if (entries.length === 0) return;
  const at = chat.now();
  const written = entries.map(({actor, action, room, user, detail}) => ({
    at,
    actor: actorName(actor),
    door: doors[actor.kind],
    action,
    roomId: room ?? null,
    userId: user ?? null,
    detail: JSON.stringify(detail ?? {}),
  }));
  tx.last(insertAudit(tx, written));
}

const maxNameLength = 200;

/** `user:alice`, `service:primary`, `operator:deploy`: the names of two kinds never meet. */
export function actorName(actor: Actor): string {
  const name =
    actor.kind === 'user' ? actor.id : actor.name.replaceAll('\0', '').slice(0, maxNameLength).toWellFormed();
  return `${actor.kind}:${name}`;
}

export interface AuditPage extends Page<AuditRow> {
  /** Where to go on, for `before`. */
  next: {before: string} | null;
}

/** Newest first, from before the given entry on; costs the same at any depth. */
export async function listAudit(
  chat: Chat,
  actor: Actor,
  filter: AuditFilter,
  page: {before?: number | undefined; limit: number},
): Promise<AuditPage> {
  const {items, next: before} = await listAuditBefore(chat, actor, filter, page);
  const next = before === null ? null : {before};
  return {count: await countAudit(chat.db, filter, countLimit), items, next, previous: null};
}

/** The same for whoever reads on and on. */
export async function listAuditBefore(
  chat: Chat,
  actor: Actor,
  filter: AuditFilter,
  {before, limit}: {before?: number | undefined; limit: number},
): Promise<Stretch<AuditRow>> {
  mustBeManager(actor, 'read the audit log');
  const found = await listRows(chat.db, filter, {before, limit: limit + 1});
  return stretchOf(found, limit, row => String(row.id));
}
