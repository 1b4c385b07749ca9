// The endpoint's settings, named after Centrifugo's own and with its defaults.

/** What a channel namespace allows. All flags are off unless they are set. */
export interface Namespace {
  name: string;
  historySize?: number;
  historyTtlMs?: number;
  forceRecovery?: boolean;
  allowRecovery?: boolean;
  presence?: boolean;
  joinLeave?: boolean;
  forcePushJoinLeave?: boolean;
  allowSubscribeForClient?: boolean;
  allowPublishForClient?: boolean;
  allowPublishForSubscriber?: boolean;
  allowPresenceForClient?: boolean;
  allowPresenceForSubscriber?: boolean;
  allowHistoryForClient?: boolean;
  allowHistoryForSubscriber?: boolean;
  allowUserLimitedChannels?: boolean;
}

export interface EndpointOptions {
  host: string;
  /** 0 takes any free one. */
  port: number;
  /** Signs connection and subscription tokens. */
  tokenSecret: string;
  previousTokenSecret?: string | undefined;
  /** Of the server HTTP API, which is closed without one. */
  apiKey?: string | undefined;
  /** Browser origins that may connect, `*` in them standing for anything. Requests without an origin always may. */
  allowedOrigins?: readonly string[];
  namespaces?: readonly Namespace[];
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
  userConnectionLimit?: number;
  historyMaxPublicationLimit?: number;
  recoveryMaxPublicationLimit?: number;
  messageSizeLimit?: number;
  /** Milliseconds since 1970. */
  now?: () => number;
}

export type Settings = Required<Omit<EndpointOptions, 'previousTokenSecret' | 'apiKey'>> &
  Pick<EndpointOptions, 'previousTokenSecret' | 'apiKey'>;

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
    historyMaxPublicationLimit: 300,
    recoveryMaxPublicationLimit: 300,
    messageSizeLimit: 65_536,
    now: Date.now,
    ...options,
  };
}

/** The namespace of a channel, or undefined when its name is unknown. A leading `$` does not count. */
export function namespaceOf(settings: Settings, channel: string): Namespace | undefined {
  const name = channel.replace(/^\$/, '');
  const boundary = name.indexOf(':');
  if (boundary < 0) return settings.namespaces.find(each => each.name === '');
  return settings.namespaces.find(each => each.name !== '' && each.name === name.slice(0, boundary));
}

export function hasHistory(namespace: Namespace): boolean {
  return (namespace.historySize ?? 0) > 0 && (namespace.historyTtlMs ?? 0) > 0;
}
