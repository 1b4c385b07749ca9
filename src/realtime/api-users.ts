// Acting on all connections of a user through the server API.
import {
  badRequest,
  mustBeKnown,
  mustHaveChannel,
  readerOf,
  refuse,
  Undecodable,
  type ApiRequest,
  type Method,
} from './api-request.ts';
import {disconnects, errors} from './codes.ts';
import {push} from './encode.ts';
import {fits} from './fields.ts';
import type {Hub, Session} from './hub.ts';
import {establish, grantOf, type Grant} from './subscription.ts';
import {expiryFields, grantShape} from './tokens.ts';

export const userMethods: Record<string, Method> = {
  subscribe(hub, request) {
    const channel = mustHaveChannel(request);
    const namespace = mustBeKnown(hub, channel);
    const grant = mustHaveGrant(request);
    const isPast = grant.expireAt !== undefined && grant.expireAt * 1_000 <= hub.settings.now();
    for (const session of targets(hub, request)) {
      if (isPast) throw refuse(errors.internal);
      const {subscriptions} = session;
      if (!subscriptions.has(channel) && subscriptions.size >= hub.settings.channelLimit) {
        session.disconnect(disconnects.channelLimit);
        continue;
      }
      const {fields, afterReply} = establish(hub, session, {channel, namespace, serverSide: true}, {}, grant);
      session.send(push(channel, 'subscribe', {...fields, expires: undefined, ttl: undefined}));
      afterReply?.();
    }
    return '{}';
  },
  unsubscribe(hub, request) {
    const channel = mustHaveChannel(request);
    mustBeKnown(hub, channel);
    for (const session of targets(hub, request)) {
      hub.unsubscribe(session, channel);
      session.send(push(channel, 'unsubscribe', {code: 2000, reason: 'server unsubscribe'}));
    }
    return '{}';
  },
  disconnect(hub, request) {
    const read = readerOf(request);
    const disconnect = read.fields('disconnect') ? mustBeDisconnect(request) : disconnects.forced;
    const spared = read.texts('whitelist') ?? [];
    const ended = targets(hub, request).filter(session => !spared.includes(session.id));
    // The answer comes before the connections close.
    setImmediate(() => ended.forEach(session => session.disconnect(disconnect)));
    return '{}';
  },
  refresh(hub, request) {
    const read = readerOf(request);
    const now = hub.settings.now();
    const given = read.integer('expire_at') ?? 0;
    const expireAt = given > 0 ? given : undefined;
    const isOver = read.flag('expired') || (expireAt !== undefined && expireAt * 1_000 <= now);
    for (const session of targets(hub, request)) {
      if (isOver) {
        session.disconnect(disconnects.expired);
        continue;
      }
      session.expireAt(expireAt);
      session.send(push(undefined, 'refresh', expiryFields(expireAt, now)));
    }
    return '{}';
  },
};

/** The user's connections, or the one that is named. The empty user, or none, is that of anonymous connections. */
function targets(hub: Hub, request: ApiRequest): Session[] {
  const read = readerOf(request);
  const client = read.text('client') ?? '';
  return hub.sessionsOf(read.text('user') ?? '').filter(session => client === '' || session.id === client);
}

function mustHaveGrant(request: ApiRequest): Grant {
  const read = readerOf(request);
  if (!fits(request.fields, grantShape)) throw new Undecodable();
  const grant = grantOf(request.fields);
  if (!grant || read.fields('recover_since')) throw badRequest();
  return {...grant, expireAt: read.whole('expire_at') || undefined};
}

/** What a close frame can carry beside its code. */
const maxReasonBytes = 123;

function mustBeDisconnect(request: ApiRequest) {
  const read = readerOf({fields: readerOf(request).fields('disconnect') ?? {}, json: ''});
  const code = read.whole('code') ?? 0;
  const reason = read.text('reason') ?? '';
  const fits = code >= 3_000 && code <= 4_999 && Buffer.byteLength(reason) <= maxReasonBytes;
  if (!fits) throw badRequest();
  return {code, reason};
}
