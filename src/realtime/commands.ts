// The commands of a connected client but connect and subscribe.
import {badRequest, CommandError, disconnects, DisconnectError, errors} from './codes.ts';
import type {Body} from './encode.ts';
import {fieldReader, isFields, isText, isTexts, isWhole, type FieldReader, type Fields} from './fields.ts';
import {prepare, type Hub, type Session} from './hub.ts';
import {hasHistory, namespaceOf} from './options.ts';
import {mustBeKnown, mustMay} from './permission.ts';
import {readHistory, type ClientInfo, type HistoryRequest, type Placed} from './stream.ts';
import {isFor} from './subscribe.ts';
import {grantOf} from './subscription.ts';
import {contentOf, expiryFields, type VerifyToken} from './tokens.ts';

function channelOf(request: Fields): string {
  const channel = fieldReader(request, badRequest).text('channel') ?? '';
  if (channel === '') throw badRequest();
  return channel;
}

export function unsubscribe(hub: Hub, session: Session, request: Fields): Body {
  hub.unsubscribe(session, channelOf(request));
  return {fields: {}};
}

export function publish(hub: Hub, session: Session, request: Fields): Body {
  const channel = channelOf(request);
  const namespace = mustBeKnown(hub, channel);
  const data = fieldReader(request, badRequest).text('data');
  if (data === undefined) throw new CommandError(errors.badRequest);
  mustMay(namespace, 'Publish', session, channel);
  const info: ClientInfo = {...session.subscriptions.get(channel)?.info, user: session.user, client: session.id};
  if (session.connInfo !== undefined) info.conn_info = session.connInfo;
  const result = hub.publish(channel, prepare({data, info}));
  if (result.error) throw new CommandError(result.error);
  return {fields: {}};
}

export function presenceOf(hub: Hub, channel: string): Record<string, ClientInfo> {
  const found: Record<string, ClientInfo> = {};
  for (const session of hub.subscribers(channel)) {
    const subscription = session.subscriptions.get(channel);
    if (subscription?.isPresent) found[session.id] = subscription.info;
  }
  return found;
}

export function presenceStatsOf(hub: Hub, channel: string): {num_clients: number; num_users: number} {
  const infos = Object.values(presenceOf(hub, channel));
  return {num_clients: infos.length, num_users: new Set(infos.map(info => info.user)).size};
}

function mustHavePresence(hub: Hub, session: Session, request: Fields): string {
  const channel = channelOf(request);
  const namespace = mustBeKnown(hub, channel);
  if (!namespace.presence) throw new CommandError(errors.notAvailable);
  mustMay(namespace, 'Presence', session, channel);
  return channel;
}

export function presence(hub: Hub, session: Session, request: Fields): Body {
  return {fields: {presence: presenceOf(hub, mustHavePresence(hub, session, request))}};
}

export function presenceStats(hub: Hub, session: Session, request: Fields): Body {
  return {fields: presenceStatsOf(hub, mustHavePresence(hub, session, request))};
}

export function history(hub: Hub, session: Session, request: Fields): Body {
  const channel = channelOf(request);
  const namespace = mustBeKnown(hub, channel);
  if (!hasHistory(namespace)) throw new CommandError(errors.notAvailable);
  mustMay(namespace, 'History', session, channel);
  const wanted = historyRequest(fieldReader(request, badRequest));
  if (wanted.reverse && wanted.since?.offset === 0) throw new CommandError(errors.badRequest);
  const most = hub.settings.historyMaxPublicationLimit;
  const limit = wanted.limit < 0 || wanted.limit > most ? most : wanted.limit;
  return historyBody(hub, channel, {...wanted, limit});
}

export function historyRequest(read: FieldReader): HistoryRequest {
  const since = read.fields('since');
  const {offset, epoch} = since ?? {};
  return {
    limit: read.integer('limit') ?? 0,
    reverse: read.flag('reverse'),
    since: since && {offset: isWhole(offset) ? offset : 0, epoch: isText(epoch) ? epoch : ''},
  };
}

/** Throws the unrecoverable error when the position is of another epoch. */
export function historyBody(
  hub: Hub,
  channel: string,
  request: HistoryRequest,
): Body & {publications: readonly Placed[]} {
  const stream = hub.streams.get(channel);
  const publications = readHistory(stream, request);
  if (!publications) throw new CommandError(errors.unrecoverable);
  return {fields: {epoch: stream.epoch, offset: stream.top}, publications};
}

export function refresh(hub: Hub, verify: VerifyToken, session: Session, request: Fields): Body {
  const token = fieldReader(request, badRequest).text('token') ?? '';
  if (token === '') throw badRequest();
  const verified = verify(token, 'connection');
  if (verified.kind === 'expired') throw new DisconnectError(disconnects.expired);
  if (verified.kind === 'invalid' || verified.claims['channel'] || verified.user !== session.user) {
    throw new DisconnectError(disconnects.invalidToken);
  }
  mustNameTheSameChannels(hub, session, verified.claims);
  const info = contentOf(verified.claims, 'info');
  if (!info) throw new CommandError(errors.internal);
  const {now} = hub.settings;
  const {expireAt} = verified;
  // A token that never expires leaves the connection as it is, its expiry too.
  if (expireAt === undefined) return {fields: {}};
  if (expireAt * 1_000 <= now()) throw new CommandError(errors.expired);
  if (info.value !== undefined) session.connInfo = info.value;
  session.expireAt(expireAt);
  return {fields: expiryFields(expireAt, now())};
}

function mustNameTheSameChannels(hub: Hub, session: Session, claims: Fields): void {
  const named = tokenChannels(claims);
  if (named.some(channel => !namespaceOf(hub.settings, channel))) throw new CommandError(errors.unknownChannel);
  const ofServer = [...session.subscriptions].filter(([, {serverSide}]) => serverSide).map(([channel]) => channel);
  const isSame =
    named.every(channel => session.subscriptions.has(channel)) && ofServer.every(channel => named.includes(channel));
  if (!isSame) throw new DisconnectError(disconnects.insufficientState);
}

/** Channels that a connection token subscribes to by itself: `subs`, or `channels` when there are none. */
export function tokenChannels(claims: Fields): string[] {
  const {subs, channels} = claims;
  const named = isFields(subs) && Object.keys(subs).length > 0 ? Object.keys(subs) : channels;
  return isTexts(named) ? named.filter(channel => channel !== '') : [];
}

export function subRefresh(hub: Hub, verify: VerifyToken, session: Session, request: Fields): Body {
  const channel = channelOf(request);
  const subscription = session.subscriptions.get(channel);
  if (!subscription) throw new CommandError(errors.permissionDenied);
  if (subscription.serverSide) throw badRequest();
  const token = fieldReader(request, badRequest).text('token') ?? '';
  if (token === '') throw new CommandError(errors.badRequest);
  const verified = verify(token, 'subscription');
  if (verified.kind === 'expired') throw new CommandError(errors.tokenExpired);
  const isGood =
    verified.kind === 'valid' &&
    verified.user === session.user &&
    isFor(verified.claims, session, channel) &&
    grantOf(verified.claims);
  if (!isGood) throw new DisconnectError(disconnects.invalidToken);
  const {now} = hub.settings;
  const {expireAt} = verified;
  if (expireAt !== undefined && expireAt * 1_000 <= now()) throw new CommandError(errors.expired);
  subscription.expireAt = expireAt;
  return {fields: expiryFields(expireAt, now())};
}
