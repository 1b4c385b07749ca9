// Ids as types of their own, so that a room's id cannot be handed over where a user's is asked for.
// They are made by the parsers of core/input and by the row mapping of db/.

declare const brand: unique symbol;
type Branded<T, Name extends string> = T & {readonly [brand]: Name};

export type RoomId = Branded<number, 'room'>;
export type MessageId = Branded<number, 'message'>;
/** The `sub` of the primary service's JWT. It becomes part of a channel name. */
export type UserId = Branded<string, 'user'>;
/** RFC 3339 in UTC with milliseconds, as the database and the wire both hold it. */
export type Timestamp = Branded<string, 'timestamp'>;

export type Role = 'member' | 'admin';
export type Visibility = 'public' | 'private';
