/** What a Centrifugo v6 must be configured with to deliver for chatctl. */
export interface CentrifugoSettings {
  port: number;
  /** Browser origins that may connect. */
  allowedOrigins: readonly string[];
}

/** Secrets come by the environment, so that the file can be kept with the code: Centrifugo's name, and ours. */
export const centrifugoSecrets = {
  CENTRIFUGO_CLIENT_TOKEN_HMAC_SECRET_KEY: 'CENTRIFUGO_TOKEN_SECRET',
  CENTRIFUGO_HTTP_API_KEY: 'CENTRIFUGO_API_KEY',
} as const;

/** A Centrifugo v6 configuration file; `centrifugo checkconfig --strict` accepts it. */
export function centrifugoConfig({port, allowedOrigins}: CentrifugoSettings): object {
  return {
    http_server: {port},
    client: {allowed_origins: allowedOrigins},
    channel: {
      namespaces: [{name: 'personal', history_size: 300, history_ttl: '600s', force_recovery: true}],
    },
    health: {enabled: true},
    prometheus: {enabled: true},
    usage_stats: {disabled: true},
  };
}
