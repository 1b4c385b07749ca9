/** What a Centrifugo v6 must be configured with to deliver for chatctl. */
export interface CentrifugoSettings {
  port: number;
  /** Browser origins that may connect. */
  allowedOrigins: readonly string[];
  /** Connections at once, of all on a node and of a user. */
  connectionLimit?: number;
  userConnectionLimit?: number;
  /** Takes the server API, health and metrics off the port that clients reach. */
  internalPort?: number;
  /** Streams lie in this Redis, where they outlive a restart and other nodes see them; without it in memory. */
  redisUrl?: string;
  /** Makes the file a secret itself; without them they come by the environment. */
  secrets?: {token: string; apiKey: string};
}

/** As many connections at once as those of chatctl's own endpoint are, unless it is said otherwise. */
export const connectionLimits = {connectionLimit: 10_000, userConnectionLimit: 100} as const;

/** Secrets come by the environment, so that the file can be kept with the code: Centrifugo's name, and ours. */
export const centrifugoSecrets = {
  CENTRIFUGO_CLIENT_TOKEN_HMAC_SECRET_KEY: 'CENTRIFUGO_TOKEN_SECRET',
  CENTRIFUGO_HTTP_API_KEY: 'CENTRIFUGO_API_KEY',
} as const;

/** A Centrifugo v6 configuration file; `centrifugo checkconfig --strict` accepts it. */
export function centrifugoConfig(settings: CentrifugoSettings): object {
  const {port, allowedOrigins, internalPort, redisUrl, secrets} = settings;
  const {connectionLimit, userConnectionLimit} = {...connectionLimits, ...settings};
  return {
    http_server: {port, ...(internalPort !== undefined && {internal_port: internalPort})},
    client: {
      allowed_origins: allowedOrigins,
      connection_limit: connectionLimit,
      user_connection_limit: userConnectionLimit,
      ...(secrets && {token: {hmac_secret_key: secrets.token}}),
    },
    ...(secrets && {http_api: {key: secrets.apiKey}}),
    ...(redisUrl !== undefined && {engine: {type: 'redis', redis: {address: redisUrl}}}),
    channel: {
      namespaces: [{name: 'personal', history_size: 300, history_ttl: '600s', force_recovery: true}],
    },
    health: {enabled: true},
    prometheus: {enabled: true},
    usage_stats: {disabled: true},
  };
}
