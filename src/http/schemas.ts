// The shapes of what the API answers and of the events, for the OpenAPI document and the tests. The compiler holds
// them equal to what core/present makes.
import {z} from 'zod';
import {errorCodes} from '../core/errors.ts';
import type {MessageId, RoomId, Timestamp, UserId} from '../core/ids.ts';
import type {
  AuditJson,
  LastMessageJson,
  MemberJson,
  MembershipJson,
  MessageJson,
  OwnRoomJson,
  RoomJson,
  RoomSearchJson,
  UserJson,
  UserRecordJson,
} from '../core/present.ts';

/** The type without the brands of its ids. */
type Plain<T> = T extends RoomId | MessageId
  ? number
  : T extends UserId | Timestamp
    ? string
    : T extends object
      ? {[K in keyof T]: Plain<T[K]>}
      : T;

/** The schema, held equal to the type both ways: neither may have what the other lacks. */
const shapeOf =
  <Json>() =>
  <S extends z.ZodType<Plain<Json>>>(schema: S, ..._same: Plain<Json> extends z.output<S> ? [] : [never]): S =>
    schema;

const id = z.int().positive();
const whole = z.int().min(0);
const time = z.iso.datetime().meta({description: 'RFC 3339 in UTC.', example: '2026-11-24T10:00:00.000Z'});

export const User = shapeOf<UserJson>()(z.strictObject({id: z.string(), username: z.string()}).meta({id: 'User'}));

export const LastMessage = shapeOf<LastMessageJson>()(
  z.strictObject({id, content: z.string(), user: User.nullable(), created_at: time}).meta({id: 'LastMessage'}),
);

const roomShape = {
  id,
  name: z.string(),
  version: whole.meta({description: 'Rises by one with every change of the room.'}),
  bumped_at: time,
  member_count: whole,
  last_message: LastMessage.nullable(),
  key: z.string().nullable(),
  visibility: z.enum(['public', 'private']),
  created_at: time,
  archived_at: time.nullable(),
};
export const Room = shapeOf<RoomJson>()(z.strictObject(roomShape).meta({id: 'Room'}));

export const OwnRoom = shapeOf<OwnRoomJson>()(
  z
    .strictObject({...roomShape, role: z.enum(['member', 'admin']), last_read_seq: whole, unread_count: whole})
    .meta({id: 'OwnRoom', description: 'A room as one of its members sees it.'}),
);

export const RoomSearch = shapeOf<RoomSearchJson>()(
  z.strictObject({id, name: z.string(), created_at: time, is_member: z.boolean()}).meta({id: 'RoomSearch'}),
);

export const Message = shapeOf<MessageJson>()(
  z
    .strictObject({
      id,
      content: z.string(),
      user: User.nullable().meta({description: 'Null for a message of the system.'}),
      room: z.strictObject({id, version: whole, bumped_at: time}),
      created_at: time,
      seq: id.meta({description: 'Counts the room’s messages without a gap.'}),
      client_id: z.string().nullable(),
      deleted_at: time.nullable().meta({description: 'Set on a tombstone, whose content is empty.'}),
    })
    .meta({id: 'Message'}),
);

export const Member = shapeOf<MemberJson>()(
  z.strictObject({user: User, role: z.enum(['member', 'admin']), joined_at: time}).meta({id: 'Member'}),
);

export const Membership = shapeOf<MembershipJson>()(z.strictObject({room: Room, user: User}).meta({id: 'Membership'}));

export const Token = z.strictObject({token: z.string()}).meta({id: 'Token'});
export const ReadMarker = z.strictObject({last_read_seq: whole, unread_count: whole}).meta({id: 'ReadMarker'});
export const MembersChanged = z.strictObject({room: Room, added: whole, removed: whole}).meta({id: 'MembersChanged'});
export const Health = z.strictObject({status: z.string()}).meta({id: 'Health'});
export const Readiness = z
  .strictObject({status: z.string(), checks: z.record(z.string(), z.string())})
  .meta({id: 'Readiness'});

export const Audit = shapeOf<AuditJson>()(
  z
    .strictObject({
      id,
      at: time,
      actor: z.string().meta({example: 'service:primary'}),
      door: z.string().meta({example: 'rest'}),
      action: z.string().meta({example: 'member.add'}),
      room_id: id.nullable(),
      user_id: z.string().nullable().meta({description: 'Whom it was done to, or in whose name.'}),
      detail: z.record(z.string(), z.unknown()),
    })
    .meta({id: 'Audit'}),
);

export const UserRecord = shapeOf<UserRecordJson>()(
  z
    .strictObject({
      id: z.string(),
      username: z.string(),
      created_at: time,
      deactivated_at: time.nullable(),
      erased_at: time.nullable(),
    })
    .meta({id: 'UserRecord'}),
);

export const UserExport = z
  .strictObject({
    user: UserRecord,
    memberships: z.array(
      z.strictObject({
        room: z.strictObject({id, name: z.string(), key: z.string().nullable()}),
        role: z.enum(['member', 'admin']),
        joined_at: time,
        last_read_seq: whole,
      }),
    ),
    messages: z.array(Message),
    audit: z.array(Audit),
  })
  .meta({id: 'UserExport', description: 'Everything that the chat holds of one user.'});

export const Erasure = z
  .strictObject({
    user: z.string(),
    mode: z.enum(['keep', 'redact', 'delete']),
    memberships: whole.meta({description: 'Memberships that ended.'}),
    messages: whole.meta({description: 'Messages that lost their content.'}),
    events: whole.meta({description: 'Events on their way that were rewritten.'}),
    streams: whole.nullable().meta({description: 'Streams that were cleared; null when the broker was away.'}),
  })
  .meta({id: 'Erasure'});

export function pageOf(item: z.ZodType, name: string) {
  return z
    .strictObject({count: whole, next: z.url().nullable(), previous: z.url().nullable(), results: z.array(item)})
    .meta({id: `${name}Page`});
}

const codes = Object.keys(errorCodes) as [string, ...string[]];

export const Problem = z
  .strictObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.enum(codes),
    errors: z.array(z.strictObject({field: z.string(), code: z.enum(codes), message: z.string()})).optional(),
    request_id: z.string(),
  })
  .meta({id: 'Problem', description: 'Problem details, RFC 9457.'});

function event(type: string, body: z.ZodType) {
  const name = type.replaceAll(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());
  return z.strictObject({type: z.literal(type), body}).meta({id: `${name}Event`});
}

/** What is published on `personal:<user_id>`, by type. */
export const events = {
  message_added: event('message_added', Message),
  message_deleted: event('message_deleted', Message),
  user_joined: event('user_joined', Membership),
  user_left: event('user_left', Membership),
  members_changed: event(
    'members_changed',
    z.strictObject({room: Room, added: whole, removed: whole, you: z.enum(['added', 'removed']).nullable()}),
  ),
  member_updated: event('member_updated', z.strictObject({room: Room, user: User, role: z.enum(['member', 'admin'])})),
  room_updated: event('room_updated', z.strictObject({room: Room})),
  room_deleted: event('room_deleted', z.strictObject({room: Room})),
};
