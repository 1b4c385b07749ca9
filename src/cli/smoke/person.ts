// A user of the walk: an API token, and a real-time client whose events are kept until a step asks for them.
import {ChatError} from '../../core/errors.ts';
import type {UserId} from '../../core/ids.ts';
import {personalChannel} from '../../core/tokens.ts';
import {callApi, fetchToken, type ApiAnswer} from '../../api.ts';
import {deliveryOf, type Delivery} from '../delivery.ts';
import {follow, type Follower} from '../../follow.ts';
import {StepFailure} from './failure.ts';

export interface Person {
  id: UserId;
  call(method: string, path: string, body?: object): Promise<ApiAnswer>;
  connect(realtimeUrl: string): Promise<void>;
  follower(): Follower;
  /** Everything that was delivered, in order. */
  events: Delivery[];
  /** Whether the last coming back brought what was missed; undefined when there was none. */
  recovered(): boolean | undefined;
  /** The first delivered event for which this holds. Rejects with a timeout that says what was waited for. */
  waitFor(what: string, holds: (event: Delivery) => boolean): Promise<Delivery>;
  close(): void;
}

/** How long an event may take from the change to the client. */
const eventLimitMs = 5_000;

export function createPerson(apiUrl: string, id: UserId, token: () => string): Person {
  const events: Delivery[] = [];
  let changed: () => void = () => undefined;
  let connection: Follower | undefined;
  let recovered: boolean | undefined;

  async function connect(url: string): Promise<void> {
    const channel = personalChannel(id);
    const path = `/api/token/subscription/?channel=${encodeURIComponent(channel)}`;
    connection = await follow({
      url,
      channel,
      connectionToken: () => fetchToken(apiUrl, token(), '/api/token/connection/'),
      subscriptionToken: () => fetchToken(apiUrl, token(), path),
      onPublication(publication) {
        events.push(deliveryOf(publication, undefined));
        changed();
      },
      onSubscribed(context) {
        if (context.wasRecovering) recovered = context.recovered;
        changed();
      },
    });
  }

  async function until<T>(what: string, look: () => T | undefined): Promise<T> {
    const deadline = Date.now() + eventLimitMs;
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      const left = deadline - Date.now();
      if (left <= 0) throw new StepFailure('timeout', `${id} did not get ${what} within ${eventLimitMs / 1_000} s.`);
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, left);
        changed = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  return {
    id,
    events,
    connect,
    call: (method, path, body) => callApi(apiUrl, method, path, {token: token(), ...(body ? {body} : {})}),
    follower() {
      if (!connection) throw new ChatError('internal', `${id} is not connected.`);
      return connection;
    },
    recovered: () => recovered,
    waitFor: (what, holds) => until(what, () => events.find(holds)),
    close: () => connection?.close(),
  };
}
