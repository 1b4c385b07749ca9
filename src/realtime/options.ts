// The endpoint's settings, named after Centrifugo's own and with its defaults.
import type {IncomingMessage} from 'node:http';

/** What a channel namespace allows. All flags are off unless they are set. */
export interface Namespace {
  name: string;
  historySize?: number;
  historyTtlMs?: number;
  forceRecovery?: boolean;
  allowRecovery?: boolean;
  forcePositioning?: boolean;
  allowPositioning?: boolean;
  presence?: boolean;
  joinLeave?: boolean;
  forcePushJoinLeave?: boolean;
  allowSubscribeForClient?: boolean;
  allowSubscribeForAnonymous?: boolean;
  allowPublishForClient?: boolean;
  allowPublishForSubscriber?: boolean;
  allowPublishForAnonymous?: boolean;
  allowPresenceForClient?: boolean;
  allowPresenceForSubscriber?: boolean;
  allowPresenceForAnonymous?: boolean;
  allowHistoryForClient?: boolean;
  allowHistoryForSubscriber?: boolean;
  allowHistoryForAnonymous?: boolean;
  allowUserLimitedChannels?: boolean;
}

export interface EndpointOptions {
  host: string;
  /** 0 takes any free one. */
  port: number;
  /** Signs connection and subscription tokens. */
  tokenSecret: string;
  previousTokenSecret?: string | undefined;
  /** Signs subscription tokens instead, which then the other secrets do not. */
  subscriptionTokenSecret?: string | undefined;
  /** Of the server HTTP API, which is closed without one. */
  apiKey?: string | undefined;
  /** Browser origins that may connect, `*` in them standing for anything. Requests without an origin always may. */
  allowedOrigins?: readonly string[];
  namespaces?: readonly Namespace[];
  /** Lets clients in who send no token, as nobody. */
  allowAnonymousConnectWithoutToken?: boolean;
  /** Subscribes each user to `<namespace>:#<user>` at once. */
  personalChannelNamespace?: string | undefined;
  /** Puts the server's time into the reply to connect. */
  connectIncludeServerTime?: boolean;
  /** Tells errors of the server API by the status too, as one header does for one request. */
  apiErrorMode?: 'transport' | undefined;
  version?: string;
  pingIntervalMs?: number;
  pongTimeoutMs?: number;
  staleCloseDelayMs?: number;
  expiredCloseDelayMs?: number;
  expiredSubCloseDelayMs?: number;
  presenceUpdateIntervalMs?: number;
  channelLimit?: number;
  channelMaxLength?: number;
  queueMaxSize?: number;
  /** Connections at once, of a user and of all; 0 for any number. */
  userConnectionLimit?: number;
  connectionLimit?: number;
  /** Beyond `connectionLimit`, of those that are no WebSockets: requests, and what has not sent one yet. */
  otherConnectionLimit?: number;
  /** Of an address, which `addressOf` tells; 0 for any number. */
  addressConnectionLimit?: number;
  /** What connections are counted by: behind a proxy not the socket's. */
  addressOf?: (request: IncomingMessage) => string;
  /** How long a stream outlives its last use. */
  historyMetaTtlMs?: number;
  historyMaxPublicationLimit?: number;
  recoveryMaxPublicationLimit?: number;
  messageSizeLimit?: number;
  /** Milliseconds since 1970. */
  now?: () => number;
  /** Told of what should never happen: a failure that is nobody's request. */
  log?: (message: string, error: unknown) => void;
  /** Told of every connection that is refused because there are as many as may be. */
  onFull?: () => void;
}

type Optional =
  'previousTokenSecret' | 'subscriptionTokenSecret' | 'apiKey' | 'personalChannelNamespace' | 'apiErrorMode';
export type Settings = Required<Omit<EndpointOptions, Optional>> & Pick<EndpointOptions, Optional>;

/** The one namespace that chatctl needs. */
export const personalNamespace: Namespace = {
  name: 'personal',
  historySize: 300,
  historyTtlMs: 600_000,
  forceRecovery: true,
};

export function withDefaults(options: EndpointOptions): Settings {
  return {
    allowedOrigins: [],
    namespaces: [personalNamespace],
    allowAnonymousConnectWithoutToken: false,
    connectIncludeServerTime: false,
    version: '0.0.0',
    pingIntervalMs: 25_000,
    pongTimeoutMs: 8_000,
    staleCloseDelayMs: 10_000,
    expiredCloseDelayMs: 25_000,
    expiredSubCloseDelayMs: 25_000,
    presenceUpdateIntervalMs: 27_000,
    channelLimit: 128,
    channelMaxLength: 255,
    queueMaxSize: 1_048_576,
    userConnectionLimit: 0,
    connectionLimit: 0,
    otherConnectionLimit: 1_000,
    addressConnectionLimit: 0,
    addressOf: request => request.socket.remoteAddress ?? '',
    historyMetaTtlMs: 720 * 3_600_000,
    historyMaxPublicationLimit: 300,
    recoveryMaxPublicationLimit: 300,
    messageSizeLimit: 65_536,
    now: Date.now,
    log: () => undefined,
    onFull: () => undefined,
    ...options,
  };
}

const namespaceName = /^[-a-zA-Z0-9_.]{2,}$/;

/** Refuses what Centrifugo refuses to start with, so that a setup that works here works there. */
export function mustBeConsistent({pingIntervalMs, pongTimeoutMs, namespaces}: Settings): void {
  if (pingIntervalMs <= pongTimeoutMs)
    throw new RangeError(
      `The ping interval of ${pingIntervalMs} ms must exceed the pong timeout of ${pongTimeoutMs} ms.`,
    );
  for (const namespace of namespaces) {
    const {name, historySize = 0, historyTtlMs = 0, forceRecovery} = namespace;
    if (name !== '' && !namespaceName.test(name)) throw new RangeError(`The namespace name "${name}" is none.`);
    if (historySize > 0 !== historyTtlMs > 0 || (forceRecovery && !hasHistory(namespace)))
      throw new RangeError(
        `Namespace ${name}: history, and so forced recovery, needs both historySize and historyTtlMs.`,
      );
  }
}

/** Holds channels whose name names none. Allows nothing to clients. */
const unnamed: Namespace = {name: ''};

/** The namespace of a channel, or undefined when its name is unknown. A leading `$` does not count. */
export function namespaceOf(settings: Settings, channel: string): Namespace | undefined {
  const name = channel.startsWith('$') ? channel.slice(1) : channel;
  const boundary = name.indexOf(':');
  const wanted = boundary < 0 ? '' : name.slice(0, boundary);
  return settings.namespaces.find(each => each.name === wanted) ?? (wanted === '' ? unnamed : undefined);
}

export function hasHistory(namespace: Namespace): boolean {
  return (namespace.historySize ?? 0) > 0 && (namespace.historyTtlMs ?? 0) > 0;
}
