// Subscribing: the checks in Centrifugo's order, then the result with what was missed.
import {badRequest, CommandError, disconnects, DisconnectError, errors} from './codes.ts';
import type {Body} from './encode.ts';
import {fieldReader, isFields, type Fields} from './fields.ts';
import {announceJoin, type Hub, type Session} from './hub.ts';
import {hasHistory, namespaceOf, type Namespace} from './options.ts';
import {recover, type ClientInfo} from './stream.ts';
import {expiryFields, infoOf, type VerifyToken} from './tokens.ts';

/** What a subscription token, or a token's list of channels, adds to the namespace's options. */
export interface Grant {
  info?: unknown;
  data?: unknown;
  expireAt?: number | undefined;
  override?: Fields | undefined;
}

export function subscribe(hub: Hub, verify: VerifyToken, session: Session, request: Fields): Body {
  const read = fieldReader(request, badRequest);
  const channel = read.text('channel') ?? '';
  if (channel === '') throw badRequest();
  const type = read.whole('type') ?? 0;
  if (type !== 0) throw new CommandError(type === 4 ? errors.notAvailable : errors.permissionDenied);
  const delta = read.text('delta') ?? '';
  if (delta !== '' && delta !== 'fossil') throw badRequest();
  if (channel.length > hub.settings.channelMaxLength) throw new CommandError(errors.badRequest);
  if (session.subscriptions.has(channel)) throw new CommandError(errors.alreadySubscribed);
  if (session.subscriptions.size >= hub.settings.channelLimit) throw new CommandError(errors.limitExceeded);
  const namespace = mustBeKnown(hub, channel);
  const token = read.text('token') ?? '';
  const grant =
    token === '' ? mustBeAllowed(namespace, session, channel) : mustBeGranted(verify, session, channel, token);
  if (request['tf'] !== undefined && request['tf'] !== null) throw new CommandError(errors.badRequest);
  return establish(hub, session, channel, namespace, request, grant, false);
}

/** The namespace of a channel that clients may name. */
export function mustBeKnown(hub: Hub, channel: string): Namespace {
  const namespace = namespaceOf(hub.settings, channel);
  if (!namespace) throw new CommandError(errors.unknownChannel);
  // eslint-disable-next-line no-control-regex
  if (!/^[\x00-\x7F]*$/.test(channel)) throw new CommandError(errors.badRequest);
  return namespace;
}

/** Whether the namespace lets this user subscribe without a token. */
export function maySubscribe(namespace: Namespace, user: string, channel: string): boolean {
  if (channel.startsWith('$')) return false;
  const limited = namespace.allowUserLimitedChannels ? channel.split('#').slice(1).at(-1) : undefined;
  if (limited !== undefined) return limited.split(',').includes(user);
  return namespace.allowSubscribeForClient === true && user !== '';
}

function mustBeAllowed(namespace: Namespace, session: Session, channel: string): Grant {
  if (!maySubscribe(namespace, session.user, channel)) throw new CommandError(errors.permissionDenied);
  return {};
}

function mustBeGranted(verify: VerifyToken, session: Session, channel: string, token: string): Grant {
  const verified = verify(token);
  if (verified.kind === 'expired') throw new CommandError(errors.tokenExpired);
  if (verified.kind === 'invalid') throw new CommandError(errors.permissionDenied);
  const {claims, user, expireAt} = verified;
  if (typeof claims['channel'] !== 'string' || claims['channel'] === '')
    throw new CommandError(errors.permissionDenied);
  const client = claims['client'];
  const otherClient = client !== undefined && client !== '' && client !== session.id;
  if (claims['channel'] !== channel || user !== session.user || otherClient) {
    throw new DisconnectError(disconnects.invalidToken);
  }
  return {...grantOf(claims), expireAt};
}

/** The grant that claims carry. Throws the temporary error for base64 that is not JSON. */
export function grantOf(claims: Fields): Grant {
  try {
    const override = claims['override'];
    return {
      info: infoOf(claims, 'info'),
      data: infoOf(claims, 'data'),
      override: isFields(override) ? override : undefined,
    };
  } catch {
    throw new CommandError(errors.internal);
  }
}

/** Makes the subscription and its result; the join push follows the reply because it is sent after it. */
export function establish(
  hub: Hub,
  session: Session,
  channel: string,
  namespace: Namespace,
  request: Fields,
  grant: Grant,
  serverSide: boolean,
): Body {
  const read = fieldReader(request, badRequest);
  const {now} = hub.settings;
  if (grant.expireAt !== undefined && grant.expireAt * 1_000 <= now()) throw new CommandError(errors.expired);
  const wants = optionsOf(namespace, session, channel, request, grant);
  const info: ClientInfo = {user: session.user, client: session.id};
  if (session.connInfo !== undefined) info.conn_info = session.connInfo;
  if (grant.info !== undefined) info.chan_info = grant.info;

  const recovery = wants.recoverable ? position(hub, channel, read.flag('recover') ? request : undefined) : undefined;
  const refuseUnrecovered = ((read.whole('flag') ?? 0) & 2) !== 0;
  if (recovery && read.flag('recover') && !recovery.recovered && refuseUnrecovered)
    throw new CommandError(errors.unrecoverable);

  hub.subscribe(session, channel, {serverSide, pushJoinLeave: wants.pushJoinLeave, info, expireAt: grant.expireAt});
  if (namespace.joinLeave) queueMicrotask(() => announceJoin(hub, channel, info));
  const fields = {
    ...expiryFields(grant.expireAt, now()),
    ...(recovery && {recoverable: true, epoch: recovery.epoch, offset: recovery.offset, positioned: true}),
    ...(recovery?.recovered && {recovered: true}),
    ...(read.flag('recover') && {was_recovering: true}),
    ...(grant.data !== undefined && {data: grant.data}),
  };
  return recovery && recovery.publications.length > 0 ? {fields, publications: recovery.publications} : {fields};
}

function position(hub: Hub, channel: string, request: Fields | undefined) {
  const stream = hub.streams.get(channel);
  if (!request) return {offset: stream.top, epoch: stream.epoch, recovered: false, publications: []};
  const read = fieldReader(request, badRequest);
  const since = {offset: read.whole('offset') ?? 0, epoch: read.text('epoch') ?? ''};
  return recover(stream, since, hub.settings.recoveryMaxPublicationLimit);
}

function optionsOf(namespace: Namespace, session: Session, channel: string, request: Fields, grant: Grant) {
  const override = (name: string, fallback: boolean | undefined): boolean => {
    const entry = grant.override?.[name];
    return isFields(entry) && typeof entry['value'] === 'boolean' ? entry['value'] : fallback === true;
  };
  const mayRead =
    namespace.allowRecovery === true ||
    namespace.allowHistoryForClient === true ||
    namespace.allowHistoryForSubscriber === true;
  const asked = (request['recoverable'] === true || request['positioned'] === true) && mayRead;
  const forced = override('force_recovery', namespace.forceRecovery) || override('force_positioning', false);
  const mayPresence = namespace.allowPresenceForClient === true || namespace.allowPresenceForSubscriber === true;
  const joinLeave = override('join_leave', namespace.joinLeave);
  return {
    recoverable: hasHistory(namespace) && (forced || asked),
    pushJoinLeave:
      override('force_push_join_leave', namespace.forcePushJoinLeave) ||
      (request['join_leave'] === true && joinLeave && mayPresence),
  };
}
