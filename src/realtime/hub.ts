// Who is connected and subscribed to what, and the one way a publication goes out. Publishing is one synchronous step,
// from the look at the idempotency key to the last subscriber, so that recovery never races it.
import {errors, type Disconnect, type ProtocolError} from './codes.ts';
import {joinOrLeave, oneLine, publicationPush} from './encode.ts';
import {hasHistory, namespaceOf, type Settings} from './options.ts';
import {rememberRevoked, type Revoked} from './revoked.ts';
import {createStreams, type ClientInfo, type Position, type Publication, type Streams} from './stream.ts';

/** What one connection is subscribed to. */
export interface Subscription {
  serverSide: boolean;
  recoverable: boolean;
  positioned: boolean;
  /** Whether presence counts it. */
  isPresent: boolean;
  /** Whether its own join and leave are told. */
  tellsJoinLeave: boolean;
  /** Whether joins and leaves are pushed to it. */
  hearsJoinLeave: boolean;
  info: ClientInfo;
  /** Seconds since 1970. */
  expireAt: number | undefined;
}

/** One connection as the hub sees it. */
export interface Session {
  id: string;
  user: string;
  connInfo: unknown;
  /** Whether pings are WebSocket frames, and no messages. */
  readonly pingsByFrame: boolean;
  subscriptions: Map<string, Subscription>;
  /** `encoded` is the same text, made once for many. */
  send(text: string, encoded?: Buffer): void;
  disconnect(disconnect: Disconnect): void;
  /** Sets when the connection expires, in seconds since 1970; undefined for never. */
  expireAt(seconds: number | undefined): void;
}

export interface PublishRequest {
  /** JSON text. */
  data: string;
  idempotencyKey?: string | undefined;
  skipHistory?: boolean;
  tags?: Record<string, string> | undefined;
  info?: ClientInfo;
  version?: number | undefined;
  versionEpoch?: string | undefined;
}

/** A request made ready once, for any number of channels. */
export interface PreparedPublication extends Omit<PublishRequest, 'data' | 'tags' | 'info'> {
  publication: Publication;
}

export function prepare({data, tags, info, ...request}: PublishRequest): PreparedPublication {
  return {publication: {data: oneLine(data), ...(info && {info}), ...(tags && {tags})}, ...request};
}

export type PublishResult = {error: ProtocolError} | {error?: undefined; position: Partial<Position>};

export interface Hub {
  settings: Settings;
  streams: Streams;
  sessions: Set<Session>;
  revoked: Revoked;
  sessionsOf(user: string): readonly Session[];
  add(session: Session): void;
  remove(session: Session): void;
  subscribers(channel: string): readonly Session[];
  channels(): readonly string[];
  subscribe(session: Session, channel: string, subscription: Subscription): void;
  /** Tells that somebody has joined; the joiner hears it too. */
  announceJoin(channel: string, subscription: Subscription): void;
  /** Ends the subscription, if there is one, and tells those who stay. */
  unsubscribe(session: Session, channel: string): boolean;
  publish(channel: string, publication: PreparedPublication): PublishResult;
}

export function createHub(settings: Settings): Hub {
  const sessions = new Set<Session>();
  const users = new Map<string, Set<Session>>();
  const channels = new Map<string, Set<Session>>();
  const streams = createStreams(settings.now, settings.historyMetaTtlMs, channel => channels.has(channel));

  function deliver(channel: string, text: string, wanted: (subscription: Subscription) => boolean = () => true): void {
    const subscribed = channels.get(channel);
    if (!subscribed) return;
    const encoded = subscribed.size > 1 ? Buffer.from(text) : undefined;
    for (const session of subscribed) {
      const subscription = session.subscriptions.get(channel);
      if (subscription && wanted(subscription)) session.send(text, encoded);
    }
  }

  function announce(channel: string, kind: 'join' | 'leave', {tellsJoinLeave, info}: Subscription): void {
    if (!tellsJoinLeave) return;
    deliver(channel, joinOrLeave(channel, kind, info), ({hearsJoinLeave}) => hearsJoinLeave);
  }

  function unsubscribe(session: Session, channel: string): boolean {
    const subscription = session.subscriptions.get(channel);
    if (!subscription) return false;
    session.subscriptions.delete(channel);
    removeFrom(channels, channel, session);
    announce(channel, 'leave', subscription);
    return true;
  }

  return {
    settings,
    streams,
    sessions,
    revoked: rememberRevoked(),
    sessionsOf: user => [...(users.get(user) ?? [])],
    add(session) {
      sessions.add(session);
      addTo(users, session.user, session);
    },
    remove(session) {
      for (const channel of session.subscriptions.keys()) unsubscribe(session, channel);
      sessions.delete(session);
      removeFrom(users, session.user, session);
    },
    subscribers: channel => [...(channels.get(channel) ?? [])],
    channels: () => [...channels.keys()],
    subscribe(session, channel, subscription) {
      session.subscriptions.set(channel, subscription);
      addTo(channels, channel, session);
    },
    announceJoin: (channel, subscription) => announce(channel, 'join', subscription),
    unsubscribe,
    publish(channel, request) {
      const namespace = namespaceOf(settings, channel);
      if (!namespace) return {error: errors.unknownChannel};
      const {idempotencyKey: key} = request;
      const before = key === undefined ? undefined : streams.remembered(channel, key);
      if (before) return {position: before};
      let position: Partial<Position> = {};
      if (hasHistory(namespace) && !request.skipHistory) {
        const suppressed = versionSuppresses(streams, channel, request);
        if (suppressed) return {position: suppressed};
        const limit = {size: namespace.historySize ?? 0, ttlMs: namespace.historyTtlMs ?? 0};
        position = streams.append(channel, request.publication, limit);
      }
      if (channels.has(channel)) deliver(channel, publicationPush(channel, request.publication, position));
      if (key !== undefined) streams.remember(channel, key, position);
      return {position};
    },
  };
}

/** The position to answer when the channel has this version already. A publication without one forgets the version. */
function versionSuppresses(
  streams: Streams,
  channel: string,
  {version = 0, versionEpoch = ''}: PreparedPublication,
): Position | undefined {
  const stream = streams.get(channel);
  const comparable = versionEpoch === '' || versionEpoch === stream.versionEpoch;
  if (version > 0 && comparable && version <= stream.version) return {offset: stream.top, epoch: stream.epoch};
  stream.version = version;
  stream.versionEpoch = versionEpoch;
  return undefined;
}

function addTo(sets: Map<string, Set<Session>>, key: string, session: Session): void {
  const set = sets.get(key);
  if (set) set.add(session);
  else sets.set(key, new Set([session]));
}

function removeFrom(sets: Map<string, Set<Session>>, key: string, session: Session): void {
  const set = sets.get(key);
  set?.delete(session);
  if (set?.size === 0) sets.delete(key);
}
