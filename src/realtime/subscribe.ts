// The subscribe command: its checks, in Centrifugo's order.
import {badRequest, CommandError, disconnects, DisconnectError, errors} from './codes.ts';
import type {Body} from './encode.ts';
import {fieldReader, type Fields} from './fields.ts';
import type {Hub, Session} from './hub.ts';
import {maySubscribe, mustBeKnown} from './permission.ts';
import {establish, grantOf, type Grant} from './subscription.ts';
import type {VerifyToken} from './tokens.ts';

export function subscribe(hub: Hub, verify: VerifyToken, session: Session, request: Fields): Body {
  const read = fieldReader(request, badRequest);
  const channel = read.text('channel') ?? '';
  if (channel === '') throw badRequest();
  const type = read.integer('type') ?? 0;
  if (type !== 0) throw new CommandError(type === 4 ? errors.notAvailable : errors.permissionDenied);
  const delta = read.text('delta') ?? '';
  if (delta !== '' && delta !== 'fossil') throw badRequest();
  if (Buffer.byteLength(channel) > hub.settings.channelMaxLength) throw new CommandError(errors.badRequest);
  if (session.subscriptions.has(channel)) throw new CommandError(errors.alreadySubscribed);
  if (session.subscriptions.size >= hub.settings.channelLimit) throw new CommandError(errors.limitExceeded);
  const namespace = mustBeKnown(hub, channel);
  const token = read.text('token') ?? '';
  if (token === '' && !maySubscribe(namespace, session.user, channel)) throw new CommandError(errors.permissionDenied);
  const grant = token === '' ? {} : mustBeGranted(verify, session, channel, token);
  if (request['tf'] !== undefined && request['tf'] !== null) throw new CommandError(errors.badRequest);
  return establish(hub, session, {channel, namespace, serverSide: false}, request, grant);
}

function mustBeGranted(verify: VerifyToken, session: Session, channel: string, token: string): Grant {
  const verified = verify(token, 'subscription');
  if (verified.kind === 'expired') throw new CommandError(errors.tokenExpired);
  if (verified.kind === 'invalid') throw new CommandError(errors.permissionDenied);
  const {claims, user, expireAt} = verified;
  const grant = grantOf(claims);
  if (!claims['channel'] || !grant) throw new CommandError(errors.permissionDenied);
  if (user !== session.user || !isFor(claims, session, channel)) throw new DisconnectError(disconnects.invalidToken);
  return {...grant, expireAt};
}

/** Whether a subscription token is for this channel and, when it names one, this connection. */
export function isFor(claims: Fields, session: Session, channel: string): boolean {
  return claims['channel'] === channel && (!claims['client'] || claims['client'] === session.id);
}
