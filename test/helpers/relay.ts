import type {ExecutionContext} from 'ava';
import type {Broker} from '../../src/core/broker.ts';
import {claimEverything, type Claims} from '../../src/delivery/claims.ts';
import {startRelay, type Relay} from '../../src/delivery/relay.ts';
import {createLog} from '../../src/log.ts';
import type {OpenChat} from '../../src/open.ts';

/** A relay over every partition of the chat, stopped when the test ends. */
export function startTestRelay(
  t: ExecutionContext,
  chat: OpenChat,
  broker: Broker,
  claims: Claims = claimEverything(),
): Relay {
  const relay = startRelay({
    db: chat.db,
    broker,
    claims,
    log: createLog('silent', 'stderr'),
    now: chat.now,
  });
  chat.onOutbox(relay.wake);
  t.teardown(() => relay.stop());
  return relay;
}
