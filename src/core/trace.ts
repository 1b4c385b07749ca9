// Where is my message? Its way in hops, each with what is known of it, and the first one that is missing.
//
// Times are told where somebody keeps them: the row its own, and a parked event its. When the relay took an event off the
// outbox nobody writes down, since the hot path would pay for it, and neither Centrifugo's history nor ours has times. Of what
// is still on its way a live client can tell when it arrives.
import {findEventByKey} from '../db/outbox.ts';
import {findMember, listReceivers} from '../db/members.ts';
import type {Message} from '../db/messages.ts';
import type {Streams} from './broker.ts';
import type {Actor, Chat} from './chat.ts';
import {commandLine} from './command-line.ts';
import {ChatError} from './errors.ts';
import type {MessageId, Timestamp, UserId} from './ids.ts';
import {getMessage, getRoomOfMessage} from './messages.ts';
import {personalChannel} from './channels.ts';

export interface Hop {
  name: 'stored' | 'outbox' | 'stream' | 'client';
  state: 'ok' | 'waiting' | 'parked' | 'missing';
  detail: string;
  at: Timestamp | null;
  /** From the hop before whose time is known: to this one, or to now where it is under way. */
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
      {hint: `See who is: ${commandLine(['chatctl', 'member', 'list'], [String(room)])}`},
    );
  }
  const hops: Hop[] = [
    {name: 'stored', state: 'ok', detail: `room ${room}, seq ${message.seq}`, at: message.createdAt, ms: 0},
  ];
  const outbox = await outboxHop(chat, message);
  hops.push(outbox);
  if (outbox.state === 'ok' && receiver !== null) hops.push(await streamHop(streams, message, receiver));
  return {message_id: id, user: receiver, hops};
}

async function outboxHop(chat: Chat, message: Message): Promise<Hop> {
  const event = await findEventByKey(chat.db, `${chat.databaseId}_message_${message.id}`);
  if (!event) return {name: 'outbox', state: 'ok', detail: 'delivered to the broker', at: null, ms: null};
  const {row, state} = event;
  if (state === 'parked') {
    const ms = between(message.createdAt, row.parkedAt);
    return {name: 'outbox', state, detail: `event ${row.id}: ${row.error}`, at: row.parkedAt, ms};
  }
  const ms = between(message.createdAt, chat.now());
  return {name: 'outbox', state, detail: `event ${row.id} waits; is a server running?`, at: null, ms};
}

const between = (from: Timestamp, to: Timestamp) => Date.parse(to) - Date.parse(from);

async function streamHop(streams: Streams, message: Message, user: UserId): Promise<Hop> {
  const channel = personalChannel(user);
  const {entries, offset} = await streams.history(channel);
  const entry = entries.find(({data}) => isAddition(data, message.id));
  if (entry)
    return {
      name: 'stream',
      state: 'ok',
      detail: `${channel} at offset ${entry.offset} of ${offset}`,
      at: null,
      ms: null,
    };
  return {
    name: 'stream',
    state: 'missing',
    detail: `${channel} keeps ${entries.length} publication(s), and not this one: it is too old, or the broker was restarted, or it was lost`,
    at: null,
    ms: null,
  };
}

/** The same with what a live client of the receiver's saw, from before the message was in the stream on. */
export function withClient(trace: Trace, arrivedAt: Timestamp | undefined): Trace {
  const [stored] = trace.hops;
  const inStream = trace.hops.at(-1)?.name === 'stream' && trace.hops.at(-1)?.state === 'ok';
  if (!stored?.at || !inStream) return trace;
  const hop: Hop = arrivedAt
    ? {name: 'client', state: 'ok', detail: 'it came', at: arrivedAt, ms: between(stored.at, arrivedAt)}
    : {name: 'client', state: 'waiting', detail: 'connected and subscribed, and it did not come', at: null, ms: null};
  return {...trace, hops: [...trace.hops, hop]};
}

/** Whether it is what members receive of this message. */
export function isAddition(data: unknown, id: MessageId): boolean {
  const event = data as {type?: unknown; body?: {id?: unknown}} | null;
  return event?.type === 'message_added' && event.body?.id === id;
}
