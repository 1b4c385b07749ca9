// What a user's real-time client connects with, minted here: it needs no API, and the same secret that the broker has.
import {centrifugoTokenSecret, type Config} from '../config.ts';
import type {UserId} from '../core/ids.ts';
import {mintConnectionToken, mintSubscriptionToken} from '../core/tokens.ts';

export interface ClientTokens {
  connectionToken: () => Promise<string>;
  subscriptionToken: () => Promise<string>;
}

export function clientTokens(config: Config, user: UserId, channel: string): ClientTokens {
  const secret = centrifugoTokenSecret(config);
  const now = () => Math.floor(Date.now() / 1_000);
  return {
    connectionToken: () => Promise.resolve(mintConnectionToken(secret, user, now()).token),
    subscriptionToken: () => Promise.resolve(mintSubscriptionToken(secret, user, channel, now()).token),
  };
}
