// Group commit: posts that come while a transaction is in flight wait for it and are then written by the next one,
// together. There is no timer, so that a lone post goes at once.
//
// Rooms that somebody else holds are taken out of the batch and go on in a lane of their own, where waiting for the lock
// stalls nobody else: an import into one room must not stop all the others.
import {inTransaction} from '../db/transaction.ts';
import type {Actor, Chat} from './chat.ts';
import {ChatError} from './errors.ts';
import type {RoomId} from './ids.ts';
import type {PostMessage} from './input.ts';
import {writePosts, type Outcome, type Post, type Posted} from './posting.ts';

/** Posts of one transaction at most. */
export const postBatchSize = 200;
/** So few are never divided. */
const smallBatch = 8;
/** Posts that wait at most, in all lanes; more are refused with `overloaded`. */
export const maxWaitingPosts = 10_000;

interface Waiting extends Post {
  resolve: (posted: Posted) => void;
  reject: (error: unknown) => void;
}

interface Lane {
  /** The held room, or undefined for the lane of all others. */
  room: RoomId | undefined;
  waiting: Waiting[];
  running: boolean;
}

interface Queue {
  main: Lane;
  held: Map<RoomId, Lane>;
  count: number;
}

const queues = new WeakMap<Chat, Queue>();

function queueOf(chat: Chat): Queue {
  let queue = queues.get(chat);
  if (!queue) {
    queue = {main: {room: undefined, waiting: [], running: false}, held: new Map(), count: 0};
    queues.set(chat, queue);
  }
  return queue;
}

/**
 * Stores a message and its event. Rejects with room_not_found for those who are not members, room_archived, not_a_member
 * for an author who is none, client_id_reused when the client id came with another content before, overloaded, and
 * outcome_unknown when the connection broke while committing.
 */
export function postMessage(chat: Chat, actor: Actor, roomId: RoomId, input: PostMessage): Promise<Posted> {
  const queue = queueOf(chat);
  if (queue.count >= maxWaitingPosts) {
    return Promise.reject(new ChatError('overloaded', 'Too many posts wait to be stored; try again in a moment.'));
  }
  return new Promise((resolve, reject) => {
    enqueue(chat, queue, queue.held.get(roomId) ?? queue.main, {actor, roomId, input, resolve, reject});
  });
}

function enqueue(chat: Chat, queue: Queue, lane: Lane, post: Waiting): void {
  lane.waiting.push(post);
  queue.count += 1;
  if (lane.running) return;
  lane.running = true;
  // What came in the same turn of the event loop goes with it.
  setImmediate(() => void run(chat, queue, lane));
}

async function run(chat: Chat, queue: Queue, lane: Lane): Promise<void> {
  for (let batch = take(queue, lane, 0); batch.length > 0;) {
    const answer = await write(chat, queue, lane, batch);
    batch = take(queue, lane, batch.length);
    // The next batch is on its way to the database before the answers to this one take up the processor.
    if (batch.length > 0) setImmediate(answer);
    else answer();
  }
  lane.running = false;
  if (lane.room !== undefined) queue.held.delete(lane.room);
}

/**
 * Half of the posts there are, with those about to be answered: whoever was answered posts again while the next batch is
 * written. A batch that took all would leave one post for the one after it, and the database and this process would wait
 * for each other in turn.
 */
function take(queue: Queue, lane: Lane, written: number): Waiting[] {
  const half = Math.ceil((lane.waiting.length + written) / 2);
  const batch = lane.waiting.splice(0, Math.min(Math.max(half, smallBatch), postBatchSize));
  queue.count -= batch.length;
  return batch;
}

/**
 * Writes a batch and gives what tells its posts. When it fails as a whole they are tried one at a time, so that a bad
 * one fails alone.
 */
async function write(chat: Chat, queue: Queue, lane: Lane, batch: readonly Waiting[]): Promise<() => void> {
  const wait = lane.room !== undefined;
  try {
    const outcomes = await inTransaction(chat.db, tx => writePosts(chat, tx, batch, wait));
    return () => {
      for (const [i, post] of batch.entries()) settle(chat, queue, post, outcomes[i]);
    };
  } catch (error) {
    // What may have been stored is not tried again: the caller repeats it under its client id.
    const unknown = error instanceof ChatError && error.code === 'outcome_unknown';
    if (batch.length === 1 || unknown) {
      return () => {
        for (const post of batch) post.reject(error);
      };
    }
    for (const post of batch) (await write(chat, queue, lane, [post]))();
    return () => {};
  }
}

function settle(chat: Chat, queue: Queue, post: Waiting, outcome: Outcome | undefined): void {
  if (!outcome) return post.reject(new Error('the batch has no answer for a post'));
  if (outcome.kind === 'posted') return post.resolve(outcome.posted);
  if (outcome.kind === 'refused') return post.reject(outcome.error);
  const held = queue.held.get(post.roomId) ?? {room: post.roomId, waiting: [], running: false};
  queue.held.set(post.roomId, held);
  enqueue(chat, queue, held, post);
}
