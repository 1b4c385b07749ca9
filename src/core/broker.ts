// What delivers publications to channels: a real Centrifugo over its server API, or the embedded endpoint.

/** One publication for many channels. `data` is JSON text and is passed on byte for byte. */
export interface Broadcast {
  channels: readonly string[];
  data: string;
  /** Publications with the same key reach a channel once within five minutes. */
  idempotencyKey?: string;
}

/** Error codes are Centrifugo's server API codes (100 internal, 102 unknown channel, 107 bad request …). */
export interface BrokerError {
  code: number;
  message: string;
}

/** Errors by channel, or empty when every channel took the publication. */
export interface BroadcastResult {
  errors: readonly {channel: string; error: BrokerError}[];
}

export interface Broker {
  /** What `doctor` and logs call it: `embedded`, or the URL of the real one. */
  name: string;
  /** How many channels one call should name at most. */
  channelsPerRequest: number;
  /** Publishes these in any order; one result for each. Rejects when the broker cannot be reached. */
  broadcast(broadcasts: readonly Broadcast[]): Promise<BroadcastResult[]>;
  /** Ends all connections of these users, telling why; an error or none for each. Rejects as `broadcast` does. */
  disconnect(users: readonly string[], why: Disconnection): Promise<(BrokerError | undefined)[]>;
  /** Forgets these channels' publications, so that clients who come back are told to fetch anew. */
  clear(channels: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

/** The code and the text of the WebSocket's close. */
export interface Disconnection {
  code: number;
  reason: string;
}

/** One publication as a channel's stream keeps it. */
export interface StreamEntry {
  offset: number;
  data: unknown;
  tags: Record<string, string>;
}

/** The streams of a broker, to look into and to repair. Every call rejects with broker_unreachable or broker_refused. */
export interface Streams {
  name: string;
  /** Answers when the broker can be reached and takes our key, with its clock where it tells it. */
  ping(): Promise<{clock: Date | undefined}>;
  history(channel: string): Promise<{epoch: string; offset: number; entries: StreamEntry[]}>;
  publish(channel: string, data: string, tags: Record<string, string>): Promise<void>;
  /** Forgets these channels' publications, so that clients who come back are told to fetch anew. */
  clear(channels: readonly string[]): Promise<void>;
}
