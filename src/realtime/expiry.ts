import {disconnects} from './codes.ts';
import {push} from './encode.ts';
import type {Hub, Session} from './hub.ts';

/** Ends subscriptions whose token ran out and was not refreshed in time. */
export function endExpiredSubscriptions(hub: Hub, session: Session): void {
  const limit = hub.settings.now() - hub.settings.expiredSubCloseDelayMs;
  for (const [channel, {expireAt, serverSide}] of session.subscriptions) {
    if (expireAt === undefined || expireAt * 1_000 > limit) continue;
    if (serverSide) return session.disconnect(disconnects.subscriptionExpired);
    hub.unsubscribe(session, channel);
    session.send(push(channel, 'unsubscribe', {code: 2501, reason: 'subscription expired'}));
  }
}
