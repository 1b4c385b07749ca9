// A user's real-time connection as a client has it: the unmodified library, connected and subscribed to one channel.
import {WebSocket} from 'ws';
import {ChatError} from './core/errors.ts';
import type {PublicationContext, StreamPosition, SubscribedContext} from './realtime-client.ts';

export interface FollowOptions {
  url: string;
  channel: string;
  connectionToken: () => Promise<string>;
  subscriptionToken: () => Promise<string>;
  /** Go on from this position and not from now. */
  since?: StreamPosition | undefined;
  onPublication: (publication: PublicationContext) => void;
  /** At the first subscribing and after each reconnect. */
  onSubscribed?: (context: SubscribedContext) => void;
  /** It ended for good: a token was refused, or the server said not to come back. */
  onEnded?: (error: ChatError) => void;
}

export interface Follower {
  /** Drops the connection; `back` takes it up again and recovers. */
  drop(): void;
  back(): void;
  close(): void;
}

/** How long the first connecting and subscribing may take. */
const readyLimitMs = 10_000;
const calledByUs = 0;
const invalidToken = 3_500;
const permissionDenied = 103;
const unknownChannel = 102;
/** Between these are the answers to what was asked for; those of another kind say that it ended. */
const firstError = 100;
const afterErrors = 200;

/**
 * Connects and subscribes. Rejects with server_unreachable when nobody answers, and with invalid_token or
 * permission_denied when a token is refused.
 */
export async function follow(options: FollowOptions): Promise<Follower> {
  const {Centrifuge} = await import('./realtime-client.ts');
  let reject: (error: ChatError) => void = () => undefined;
  const failed = new Promise<never>((_, refuse) => {
    reject = refuse;
  });
  failed.catch(() => undefined);
  let failure: ChatError | undefined;
  const fail = (error: ChatError) => reject((failure ??= error));
  const end = (error: ChatError) => {
    fail(error);
    options.onEnded?.(error);
  };
  // A token that cannot be had ends it: the library would ask for ever.
  const orEnd = (token: () => Promise<string>) => () =>
    token().catch((error: unknown) => {
      if (error instanceof ChatError) end(error);
      throw error;
    });

  const client = new Centrifuge(options.url, {
    websocket: WebSocket,
    getToken: orEnd(options.connectionToken),
    minReconnectDelay: 100,
    maxReconnectDelay: 5_000,
    name: 'chatctl',
  });
  const subscription = client.newSubscription(options.channel, {
    getToken: orEnd(options.subscriptionToken),
    ...(options.since ? {since: options.since} : {}),
  });
  client.on('error', ({type, error}) => {
    if (type === 'transport') fail(unreachable(options.url, error.message));
  });
  client.on('disconnected', ({code, reason}) => {
    if (code !== calledByUs) end(refused(options.url, 'connection', code, reason));
  });
  subscription.on('unsubscribed', ({code, reason}) => {
    if (code !== calledByUs) end(refused(options.url, options.channel, code, reason));
  });
  subscription.on('publication', options.onPublication);
  subscription.on('subscribed', context => options.onSubscribed?.(context));
  subscription.subscribe();
  client.connect();
  try {
    await Promise.race([subscription.ready(readyLimitMs), failed]);
  } catch {
    // Ends its wait too, which would keep the process for the rest of the limit.
    subscription.unsubscribe();
    client.disconnect();
    // The library's own wait fails a moment before it tells why.
    throw failure ?? unreachable(options.url, 'no answer');
  }
  return {drop: () => client.disconnect(), back: () => client.connect(), close: () => client.disconnect()};
}

function unreachable(url: string, reason: string): ChatError {
  return new ChatError('server_unreachable', `The real-time endpoint ${url} cannot be reached: ${reason}.`, {
    hint: 'Is the server running? Start one with: chatctl dev. Or say where it is with --realtime-url.',
  });
}

function refused(url: string, what: string, code: number, reason: string): ChatError {
  if (code === invalidToken || code === permissionDenied) {
    return new ChatError(
      code === invalidToken ? 'invalid_token' : 'permission_denied',
      `The real-time endpoint ${url} refused the token of the ${what} (${code} ${reason}).`,
      {hint: 'CENTRIFUGO_TOKEN_SECRET here is not the one that the server has. See: chatctl token verify'},
    );
  }
  if (code >= firstError && code < afterErrors) {
    return new ChatError('permission_denied', `The real-time endpoint ${url} refused ${what} (${code} ${reason}).`, {
      hint:
        code === unknownChannel
          ? 'A channel is known there by its namespace. See: chatctl centrifugo config'
          : 'Its log says more. See also: chatctl doctor',
    });
  }
  return new ChatError('server_unreachable', `The real-time endpoint ${url} ended the ${what} (${code} ${reason}).`, {
    hint: 'Its log says more. See also: chatctl doctor',
  });
}
