// The lines of an export: what is written out whole and read in again. Names and order of the kinds are the format, which
// a number in the first line versions.
import {z} from 'zod';
import type {MemberRecord, MessageRecord, RoomRecord, UserRecord} from '../db/load.ts';
import type {Timestamp} from './ids.ts';
import {
  ClientIdInput,
  firstProblem,
  MessageIdInput,
  RoleInput,
  RoomIdInput,
  RoomKeyInput,
  RoomNameInput,
  UserIdInput,
  UsernameInput,
  VisibilityInput,
} from './input.ts';

export const exportVersion = 1;

/** In the order in which they are written and loaded: what comes later refers to what came before. */
export const kinds = ['users', 'rooms', 'members', 'messages'] as const;
export type Kind = (typeof kinds)[number];

export interface Records {
  users: UserRecord;
  rooms: RoomRecord;
  members: MemberRecord;
  messages: MessageRecord;
}

const time = z
  .string()
  .refine(text => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/.test(text) && !Number.isNaN(Date.parse(text)), {
    message: 'must be a time such as 2026-01-31T12:00:00.000Z.',
  })
  .transform(text => new Date(text).toISOString() as Timestamp);
/**
 * The highest id, version or seq that can be loaded. Numbers here go on from those that come, and must stay exact in
 * JavaScript: this leaves as many again.
 */
export const highestLoaded = 2 ** 52;
const count = z.int().min(0).max(highestLoaded);
const RoomId = RoomIdInput.refine(id => id <= highestLoaded, {message: `must be at most ${highestLoaded}`});
const MessageId = MessageIdInput.refine(id => id <= highestLoaded, {message: `must be at most ${highestLoaded}`});
/** History is taken as it is: what was accepted once is not measured again, but must be storable. */
const content = z
  .string()
  .refine(text => text.isWellFormed() && !text.includes('\u0000'), {message: 'holds what cannot be stored.'});

const UserLine = z.strictObject({
  type: z.literal('user'),
  id: UserIdInput,
  username: UsernameInput,
  created_at: time,
  deactivated_at: time.nullable(),
  erased_at: time.nullable(),
});
const RoomLine = z.strictObject({
  type: z.literal('room'),
  id: RoomId,
  key: RoomKeyInput.nullable(),
  name: RoomNameInput,
  visibility: VisibilityInput,
  version: count,
  last_seq: count,
  last_message_id: MessageId.nullable(),
  created_at: time,
  bumped_at: time,
  archived_at: time.nullable(),
});
const MemberLine = z.strictObject({
  type: z.literal('member'),
  room: RoomId,
  user: UserIdInput,
  role: RoleInput,
  joined_at: time,
  joined_version: count,
  last_read_seq: count,
});
const MessageLine = z.strictObject({
  type: z.literal('message'),
  id: MessageId,
  room: RoomId,
  seq: count.min(1),
  version: count,
  user: UserIdInput.nullable(),
  content,
  client_id: ClientIdInput.nullable(),
  created_at: time,
  deleted_at: time.nullable(),
});

export const HeadLine = z.object({
  type: z.literal('chatctl_export'),
  version: z.int().min(1),
  exported_at: z.string(),
  database: z.string(),
  kinds: z.array(z.enum(kinds)),
  /** No id of the file, or that was given out where it comes from, is above these: an import gives out higher ones only. */
  highest: z.object({rooms: count, messages: count}),
  /** Lines that an import refused, to be mended: there is no last line, and no hash that a change would break. */
  rejects: z.literal(true).optional(),
});
export type HeadLine = z.output<typeof HeadLine>;
export const EndLine = z.object({
  type: z.literal('end'),
  counts: z.object({users: count, rooms: count, members: count, messages: count}),
  /** Of all lines between the first and this one: the same for the same contents. */
  sha256: z.string(),
  /** Of the first line. Files of before 0.1.0 have none. */
  head_sha256: z.string().optional(),
});
export type EndLine = z.output<typeof EndLine>;

export const kindOfType: Readonly<Record<string, Kind>> = {
  user: 'users',
  room: 'rooms',
  member: 'members',
  message: 'messages',
};

/** Reads the line of a record. */
export const readers: {[K in Kind]: (value: unknown) => {record: Records[K]} | {problem: string}} = {
  users: value =>
    read(UserLine, value, line => ({
      id: line.id,
      username: line.username,
      createdAt: line.created_at,
      deactivatedAt: line.deactivated_at,
      erasedAt: line.erased_at,
    })),
  rooms: value =>
    read(RoomLine, value, line => ({
      id: line.id,
      key: line.key,
      name: line.name,
      visibility: line.visibility,
      version: line.version,
      lastSeq: line.last_seq,
      lastMessageId: line.last_message_id,
      createdAt: line.created_at,
      bumpedAt: line.bumped_at,
      archivedAt: line.archived_at,
    })),
  members: value =>
    read(MemberLine, value, line => ({
      roomId: line.room,
      userId: line.user,
      role: line.role,
      joinedAt: line.joined_at,
      joinedVersion: line.joined_version,
      lastReadSeq: line.last_read_seq,
    })),
  messages: value =>
    read(MessageLine, value, line => ({
      id: line.id,
      roomId: line.room,
      seq: line.seq,
      version: line.version,
      userId: line.user,
      content: line.content,
      clientId: line.client_id,
      createdAt: line.created_at,
      deletedAt: line.deleted_at,
    })),
};

function read<S extends z.ZodType, R>(
  schema: S,
  value: unknown,
  toRecord: (line: z.output<S>) => R,
): {record: R} | {problem: string} {
  const result = schema.safeParse(value);
  if (result.success) return {record: toRecord(result.data)};
  const {field, code, message} = firstProblem(result.error, value);
  const problem = code === 'unknown_field' ? 'is no field of such a line' : message.replace(/\.$/, '');
  return {problem: `${field} ${problem}`.trim()};
}

/** Writes the line of a record. */
export const writers: {[K in Kind]: (record: Records[K]) => object} = {
  users: each => ({
    type: 'user',
    id: each.id,
    username: each.username,
    created_at: each.createdAt,
    deactivated_at: each.deactivatedAt,
    erased_at: each.erasedAt,
  }),
  rooms: each => ({
    type: 'room',
    id: each.id,
    key: each.key,
    name: each.name,
    visibility: each.visibility,
    version: each.version,
    last_seq: each.lastSeq,
    last_message_id: each.lastMessageId,
    created_at: each.createdAt,
    bumped_at: each.bumpedAt,
    archived_at: each.archivedAt,
  }),
  members: each => ({
    type: 'member',
    room: each.roomId,
    user: each.userId,
    role: each.role,
    joined_at: each.joinedAt,
    joined_version: each.joinedVersion,
    last_read_seq: each.lastReadSeq,
  }),
  messages: each => ({
    type: 'message',
    id: each.id,
    room: each.roomId,
    seq: each.seq,
    version: each.version,
    user: each.userId,
    content: each.content,
    client_id: each.clientId,
    created_at: each.createdAt,
    deleted_at: each.deletedAt,
  }),
};

/** A batch is all of one kind. */
export type Batch = {[K in Kind]: {kind: K; records: readonly Records[K][]}}[Kind];
