// The commands of a connected client but connect and subscribe.
import {badRequest, CommandError, disconnects, DisconnectError, errors} from './codes.ts';
import type {Body} from './encode.ts';
import {fieldReader, isFields, type Fields} from './fields.ts';
import {prepare, type Hub, type Session} from './hub.ts';
import {hasHistory} from './options.ts';
import {readHistory, type ClientInfo, type HistoryRequest, type Placed} from './stream.ts';
import {mustBeKnown} from './subscribe.ts';
import {expiryFields, type VerifyToken} from './tokens.ts';

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
  const data = fieldReader(request, badRequest).json('data');
  if (data === undefined) throw new CommandError(errors.badRequest);
  mustMay(namespace.allowPublishForClient, namespace.allowPublishForSubscriber, session, channel);
  const info: ClientInfo = {user: session.user, client: session.id};
  if (session.connInfo !== undefined) info.conn_info = session.connInfo;
  const result = hub.publish(channel, prepare({data, info}));
  if (result.error) throw new CommandError(result.error);
  return {fields: {}};
}

/** The right for everybody, or for those who are subscribed. Anonymous connections have neither. */
function mustMay(
  forClient: boolean | undefined,
  forSubscriber: boolean | undefined,
  session: Session,
  channel: string,
): void {
  const allowed = forClient === true || (forSubscriber === true && session.subscriptions.has(channel));
  if (!allowed || session.user === '') throw new CommandError(errors.permissionDenied);
}

export function presenceOf(hub: Hub, channel: string): Record<string, ClientInfo> {
  const found: Record<string, ClientInfo> = {};
  for (const session of hub.subscribers(channel)) {
    const subscription = session.subscriptions.get(channel);
    if (subscription) found[session.id] = subscription.info;
  }
  return found;
}

export function presenceStatsOf(hub: Hub, channel: string): {num_clients: number; num_users: number} {
  const sessions = hub.subscribers(channel);
  return {num_clients: sessions.length, num_users: new Set(sessions.map(session => session.user)).size};
}

function mustHavePresence(hub: Hub, session: Session, request: Fields): string {
  const channel = channelOf(request);
  const namespace = mustBeKnown(hub, channel);
  if (!namespace.presence) throw new CommandError(errors.notAvailable);
  mustMay(namespace.allowPresenceForClient, namespace.allowPresenceForSubscriber, session, channel);
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
  mustMay(namespace.allowHistoryForClient, namespace.allowHistoryForSubscriber, session, channel);
  const wanted = historyRequest(request, badRequest);
  if (wanted.reverse && wanted.since?.offset === 0) throw new CommandError(errors.badRequest);
  const most = hub.settings.historyMaxPublicationLimit;
  const limit = wanted.limit < 0 || wanted.limit > most ? most : wanted.limit;
  return historyBody(hub, channel, {...wanted, limit});
}

export function historyRequest(request: Fields, wrong: () => Error): HistoryRequest {
  const read = fieldReader(request, wrong);
  const since = read.fields('since');
  const at = since && fieldReader(since, wrong);
  return {
    limit: read.integer('limit') ?? 0,
    reverse: read.flag('reverse'),
    since: at && {offset: at.whole('offset') ?? 0, epoch: at.text('epoch') ?? ''},
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
  const verified = verify(token);
  if (verified.kind === 'expired') throw new DisconnectError(disconnects.expired);
  if (verified.kind === 'invalid' || verified.claims['channel'] !== undefined || verified.user !== session.user) {
    throw new DisconnectError(disconnects.invalidToken);
  }
  mustNameTheSameChannels(session, verified.claims);
  const {now} = hub.settings;
  if (verified.expireAt === undefined) return {fields: {}};
  if (verified.expireAt * 1_000 <= now()) throw new CommandError(errors.expired);
  session.expireAt(verified.expireAt);
  return {fields: expiryFields(verified.expireAt, now())};
}

function mustNameTheSameChannels(session: Session, claims: Fields): void {
  const named = tokenChannels(claims);
  const current = [...session.subscriptions].filter(([, each]) => each.serverSide).map(([channel]) => channel);
  const same = named.every(channel => session.subscriptions.has(channel));
  if (!same || (named.length > 0 && current.length !== named.length)) {
    throw new DisconnectError(disconnects.insufficientState);
  }
}

/** Channels that a connection token subscribes to by itself: `subs`, or `channels` when there are none. */
export function tokenChannels(claims: Fields): string[] {
  const {subs, channels} = claims;
  if (isFields(subs) && Object.keys(subs).length > 0) return Object.keys(subs);
  return Array.isArray(channels) ? channels.filter(each => typeof each === 'string') : [];
}

export function subRefresh(hub: Hub, verify: VerifyToken, session: Session, request: Fields): Body {
  const channel = channelOf(request);
  const subscription = session.subscriptions.get(channel);
  if (!subscription) throw new CommandError(errors.permissionDenied);
  const token = fieldReader(request, badRequest).text('token') ?? '';
  if (token === '') throw new CommandError(errors.badRequest);
  const verified = verify(token);
  if (verified.kind === 'expired') throw new CommandError(errors.tokenExpired);
  const wrong = verified.kind === 'invalid' || verified.claims['channel'] !== channel || verified.user !== session.user;
  if (wrong) throw new DisconnectError(disconnects.invalidToken);
  subscription.expireAt = verified.expireAt;
  return {fields: expiryFields(verified.expireAt, hub.settings.now())};
}
