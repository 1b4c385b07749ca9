// Where is my message? Its way in hops, each with what is known of it, and the first one that is missing.
import {findEventByKey} from '../db/outbox.ts';
import {findMember, listReceivers} from '../db/members.ts';
import type {Message} from '../db/messages.ts';
import type {Streams} from './broker.ts';
import type {Actor, Chat} from './chat.ts';
import {ChatError} from './errors.ts';
import type {MessageId, UserId} from './ids.ts';
import {getMessage, getRoomOfMessage} from './messages.ts';
import {personalChannel} from './channels.ts';

export interface Hop {
  name: 'stored' | 'outbox' | 'stream';
  state: 'ok' | 'waiting' | 'parked' | 'missing';
  detail: string;
  /** Since the message was stored, where the hop is still under way. */
  ms: number | null;
}

export interface Trace {
  message_id: MessageId;
  user: UserId | null;
  hops: Hop[];
}

/** Follows a message to one member's stream: that of the user, or of the first member. Throws message_not_found. */
export async function traceMessage(
  chat: Chat,
  actor: Actor,
  streams: Streams,
  id: MessageId,
  user?: UserId,
): Promise<Trace> {
  const room = await getRoomOfMessage(chat, actor, id);
  const message = await getMessage(chat, actor, room, id);
  const receiver = user ?? (await listReceivers(chat.db, room, '', 1))[0]?.userId ?? null;
  if (user !== undefined && !(await findMember(chat.db, room, user))) {
    throw new ChatError(
      'not_a_member',
      `The user ${user} is not a member of room ${room}, and receives nothing of it.`,
    );
  }
  const hops: Hop[] = [
    {name: 'stored', state: 'ok', detail: `room ${room}, seq ${message.seq}, ${message.createdAt}`, ms: 0},
  ];
  const outbox = await outboxHop(chat, message);
  hops.push(outbox);
  if (outbox.state === 'ok' && receiver !== null) hops.push(await streamHop(streams, message, receiver));
  return {message_id: id, user: receiver, hops};
}

async function outboxHop(chat: Chat, message: Message): Promise<Hop> {
  const event = await findEventByKey(chat.db, `${chat.databaseId}_message_${message.id}`);
  const ms = Date.parse(chat.now()) - Date.parse(message.createdAt);
  if (!event) return {name: 'outbox', state: 'ok', detail: 'delivered to the broker', ms: null};
  if (event.state === 'parked')
    return {name: 'outbox', state: 'parked', detail: `event ${event.row.id}: ${event.error}`, ms};
  return {name: 'outbox', state: 'waiting', detail: `event ${event.row.id} waits; is a server running?`, ms};
}

async function streamHop(streams: Streams, message: Message, user: UserId): Promise<Hop> {
  const channel = personalChannel(user);
  const {entries, offset} = await streams.history(channel);
  const entry = entries.find(({data}) => isAddition(data, message.id));
  if (entry)
    return {name: 'stream', state: 'ok', detail: `${channel} at offset ${entry.offset} of ${offset}`, ms: null};
  return {
    name: 'stream',
    state: 'missing',
    detail: `${channel} keeps ${entries.length} publication(s), and not this one: it is too old, or the broker was restarted, or it was lost`,
    ms: null,
  };
}

function isAddition(data: unknown, id: MessageId): boolean {
  const event = data as {type?: unknown; body?: {id?: unknown}} | null;
  return event?.type === 'message_added' && event.body?.id === id;
}
