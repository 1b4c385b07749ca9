import type {ExecutionContext} from 'ava';
import type {Broker} from '../../src/core/broker.ts';
import {partitionCount} from '../../src/db/outbox.ts';
import {startRelay, type Relay} from '../../src/delivery/relay.ts';
import {createLog} from '../../src/log.ts';
import type {OpenChat} from '../../src/open.ts';

/** A relay over every partition of the chat, stopped when the test ends. */
export function startTestRelay(t: ExecutionContext, chat: OpenChat, broker: Broker): Relay {
  const every = Array.from({length: partitionCount}, (_, partition) => partition);
  const relay = startRelay({
    db: chat.db,
    broker,
    claims: {held: () => every, release: () => Promise.resolve()},
    log: createLog('silent', 'stderr'),
    now: chat.now,
  });
  chat.onOutbox(relay.wake);
  t.teardown(() => relay.stop());
  return relay;
}
