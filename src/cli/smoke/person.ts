// A user of the walk: an API token, and a real-time client whose events are kept until a step asks for them.
import {callApi, fetchToken, type ApiAnswer} from '../../api.ts';
import {ChatError} from '../../core/errors.ts';
import type {UserId} from '../../core/ids.ts';
import {personalChannel} from '../../core/channels.ts';
import {follow, type Follower} from '../../follow.ts';
import {createInbox} from '../../inbox.ts';
import {deliveryOf, type Delivery} from '../delivery.ts';
import {StepFailure} from './failure.ts';

export interface Person {
  id: UserId;
  call(method: string, path: string, body?: object): Promise<ApiAnswer>;
  /** Connects and subscribes; does nothing when that was done. */
  connect(realtimeUrl: string): Promise<void>;
  /** Whether the server keeps what is missed. */
  recoverable(): boolean;
  drop(): void;
  /** Comes back. Answers whether all was recovered. Rejects with a timeout. */
  back(): Promise<boolean>;
  /** Everything that was delivered, in order. */
  events: readonly Delivery[];
  /** The first delivered event for which this holds and that no step took. Rejects with a timeout that says for what. */
  waitFor(what: string, holds: (event: Delivery) => boolean, limitMs?: number): Promise<Delivery>;
  close(): void;
}

/** How long an event may take from the change to the client. */
const eventLimitMs = 5_000;

export function createPerson(apiUrl: string, id: UserId, token: () => Promise<string>): Person {
  const inbox = createInbox<Delivery>();
  const returns = createInbox<{recovered: boolean; at: number}>();
  let connection: Promise<Follower> | undefined;
  let recoverable = false;
  let open: Follower | undefined;

  function join(url: string): Promise<Follower> {
    const channel = personalChannel(id);
    const path = `/api/token/subscription/?channel=${encodeURIComponent(channel)}`;
    return follow({
      url,
      channel,
      connectionToken: async () => fetchToken(apiUrl, await token(), '/api/token/connection/'),
      subscriptionToken: async () => fetchToken(apiUrl, await token(), path),
      onPublication: publication => inbox.put(deliveryOf(publication, undefined)),
      onSubscribed(context) {
        recoverable = context.recoverable;
        // What is recovered is handed over right after this.
        if (open) setImmediate(() => returns.put({recovered: context.recovered, at: performance.now()}));
      },
    });
  }

  function follower(): Follower {
    if (!open)
      throw new ChatError('invalid_input', `${id} is not connected.`, {hint: 'A step must connect them first.'});
    return open;
  }

  return {
    id,
    events: inbox.all,
    call: async (method, path, body) => callApi(apiUrl, method, path, {token: await token(), ...(body ? {body} : {})}),
    async connect(url) {
      open = await (connection ??= join(url));
    },
    recoverable: () => recoverable,
    drop: () => follower().drop(),
    async back() {
      const since = performance.now();
      follower().back();
      const found = await returns.take(({at}) => at >= since, eventLimitMs);
      if (!found) throw new StepFailure('timeout', `${id} did not come back within ${eventLimitMs / 1_000} s.`);
      return found.recovered;
    },
    async waitFor(what, holds, limitMs = eventLimitMs) {
      follower();
      const found = await inbox.take(holds, limitMs);
      if (found) return found;
      throw new StepFailure('timeout', `${id} did not get ${what} within ${limitMs / 1_000} s.${whatCame(inbox.all)}`);
    },
    close() {
      open?.close();
      inbox.close();
      returns.close();
    },
  };
}

function whatCame(events: readonly Delivery[]): string {
  if (events.length === 0) return ' Nothing came.';
  const last = events.slice(-5).map(({data, room_id}) => `${data.type} of room ${room_id}`);
  return ` What came last: ${last.join(', ')}.`;
}
