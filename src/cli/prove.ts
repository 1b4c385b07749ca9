// Whether a running server takes a token: tried on it, and not worked out.
import {WebSocket} from 'ws';
import {callApi} from '../api.ts';
import {ChatError} from '../core/errors.ts';

export interface Proof {
  ok: boolean;
  /** Where it was tried. */
  at: string;
  /** What the server said, when it refused. */
  reason: string | null;
}

const answerLimitMs = 10_000;

/** Asks the API for something that any token of its kind may see. */
export async function proveApiToken(apiUrl: string, token: string, isService: boolean): Promise<Proof> {
  const path = `/api/rooms/?limit=1${isService ? '&all=true' : ''}`;
  const {status, body} = await callApi(apiUrl, 'GET', path, {token});
  if (status === 200) return {ok: true, at: apiUrl, reason: null};
  const detail = typeof body['detail'] === 'string' ? ` ${body['detail']}` : '';
  return {ok: false, at: apiUrl, reason: `${status}${detail}`};
}

interface Subscribing {
  channel: string;
  token: string;
}

/** Connects, and subscribes where that is what is to be proved. Rejects with server_unreachable when nobody answers. */
export async function proveRealtimeToken(url: string, token: string, subscribing?: Subscribing): Promise<Proof> {
  const {Centrifuge} = await import('../realtime-client.ts');
  const client = new Centrifuge(url, {websocket: WebSocket, token, name: 'chatctl'});
  try {
    return await new Promise<Proof>((resolve, reject) => {
      const unreachable = (reason: string) =>
        new ChatError('server_unreachable', `The real-time endpoint ${url} cannot be reached: ${reason}.`, {
          hint: 'Is the server running? Say where it is with --realtime-url.',
        });
      const timer = setTimeout(() => reject(unreachable(`no answer within ${answerLimitMs / 1_000} s`)), answerLimitMs);
      const settle = (reason: string | null) => {
        clearTimeout(timer);
        resolve({ok: reason === null, at: url, reason});
      };
      const refuse = ({code, reason}: {code: number; reason: string}) => settle(`${code} ${reason}`);
      client.on('error', ({type, error}) => {
        if (type === 'transport') reject(unreachable(error.message));
        else settle(`${error.code} ${error.message}`);
      });
      client.on('disconnected', refuse);
      if (subscribing) {
        const {channel, token: own} = subscribing;
        const subscription = client.newSubscription(channel, {token: own});
        subscription.on('subscribed', () => settle(null));
        subscription.on('unsubscribed', refuse);
        subscription.on('error', ({error}) => settle(`${error.code} ${error.message}`));
        subscription.subscribe();
      } else client.on('connected', () => settle(null));
      client.connect();
    });
  } finally {
    client.disconnect();
  }
}
