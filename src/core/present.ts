// What leaves this program as JSON, over HTTP, in events and from the command line alike: snake_case, keys in the
// contract's order, and nothing that belongs to another reader.
import type {AuditRow} from '../db/audit.ts';
import type {Member} from '../db/members.ts';
import type {Message} from '../db/messages.ts';
import type {FoundRoom} from '../db/room-lists.ts';
import type {LastMessage, OwnRoom, Room} from '../db/rooms.ts';
import type {User} from '../db/users.ts';
import type {MessageId, Role, RoomId, Timestamp, UserId, Visibility} from './ids.ts';

export interface UserJson {
  id: UserId;
  username: string;
}
export interface LastMessageJson {
  id: MessageId;
  content: string;
  user: UserJson | null;
  created_at: Timestamp;
}
export interface RoomJson {
  id: RoomId;
  name: string;
  version: number;
  bumped_at: Timestamp;
  member_count: number;
  last_message: LastMessageJson | null;
  key: string | null;
  visibility: Visibility;
  created_at: Timestamp;
  archived_at: Timestamp | null;
}
export interface ReadingJson {
  role: Role;
  last_read_seq: number;
  unread_count: number;
}
export interface OwnRoomJson extends RoomJson, ReadingJson {}
export interface RoomSearchJson {
  id: RoomId;
  name: string;
  created_at: Timestamp;
  is_member: boolean;
}
export interface MessageJson {
  id: MessageId;
  content: string;
  user: UserJson | null;
  room: {id: RoomId; version: number; bumped_at: Timestamp};
  created_at: Timestamp;
  seq: number;
  client_id: string | null;
  deleted_at: Timestamp | null;
}
export interface MemberJson {
  user: UserJson;
  role: Role;
  joined_at: Timestamp;
}
export interface MembershipJson {
  room: RoomJson;
  user: UserJson;
}

export function presentUser(user: {id: UserId; username: string}): UserJson {
  return {id: user.id, username: user.username};
}

export function presentRoom(room: Room): RoomJson {
  return {
    id: room.id,
    name: room.name,
    version: room.version,
    bumped_at: room.bumpedAt,
    member_count: room.memberCount,
    last_message: room.lastMessage && presentLastMessage(room.lastMessage),
    key: room.key,
    visibility: room.visibility,
    created_at: room.createdAt,
    archived_at: room.archivedAt,
  };
}

export function presentOwnRoom(room: OwnRoom): OwnRoomJson {
  return Object.assign(presentRoom(room), presentReading(room));
}

/** What a member's view of a room has behind the room itself. */
export function presentReading(own: Pick<OwnRoom, 'role' | 'lastReadSeq' | 'lastSeq'>): ReadingJson {
  return {role: own.role, last_read_seq: own.lastReadSeq, unread_count: own.lastSeq - own.lastReadSeq};
}

export function presentFoundRoom(room: FoundRoom): RoomSearchJson {
  return {id: room.id, name: room.name, created_at: room.createdAt, is_member: room.isMember};
}

/** Without `room`, the room as it was when the message was posted: its bump is the message's own time. */
export function presentMessage(message: Message, room?: {version: number; bumpedAt: Timestamp}): MessageJson {
  return {
    id: message.id,
    content: message.content,
    user: message.user && presentUser(message.user),
    room: {
      id: message.roomId,
      version: room?.version ?? message.version,
      bumped_at: room?.bumpedAt ?? message.createdAt,
    },
    created_at: message.createdAt,
    seq: message.seq,
    client_id: message.clientId,
    deleted_at: message.deletedAt,
  };
}

export function presentMember(member: Member): MemberJson {
  return {user: presentUser(member.user), role: member.role, joined_at: member.joinedAt};
}

export function presentMembership(membership: {room: Room; user: {id: UserId; username: string}}): MembershipJson {
  return {room: presentRoom(membership.room), user: presentUser(membership.user)};
}

function presentLastMessage(message: LastMessage): LastMessageJson {
  return {
    id: message.id,
    content: message.content,
    user: message.user && presentUser(message.user),
    created_at: message.createdAt,
  };
}

/** A user as those see them who manage users. */
export interface UserRecordJson extends UserJson {
  created_at: Timestamp;
  deactivated_at: Timestamp | null;
  erased_at: Timestamp | null;
}

export function presentUserRecord(user: User): UserRecordJson {
  return {
    ...presentUser(user),
    created_at: user.createdAt,
    deactivated_at: user.deactivatedAt,
    erased_at: user.erasedAt,
  };
}

export interface AuditJson {
  id: number;
  at: Timestamp;
  actor: string;
  door: string;
  action: string;
  room_id: RoomId | null;
  user_id: UserId | null;
  detail: Record<string, unknown>;
}

export function presentAudit(row: AuditRow): AuditJson {
  const {id, at, actor, door, action} = row;
  const detail = JSON.parse(row.detail) as Record<string, unknown>;
  return {id, at, actor, door, action, room_id: row.roomId, user_id: row.userId, detail};
}
