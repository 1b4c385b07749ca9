// Requests to the primary service: one URL that a setting gave, never followed elsewhere, with a limit on everything.
import {Pool} from 'undici';
import {lookUpAllowed} from './address.ts';

export interface ClientOptions {
  url: string;
  /** For the whole of a request, from the connection to the last byte. */
  timeoutMs: number;
  maxBytes: number;
  /** Let link-local addresses be. */
  allowLinkLocal: boolean;
}

export interface Client {
  /** Rejects when there is no complete answer within the limits. */
  request(method: 'GET' | 'POST', headers: Record<string, string>): Promise<{status: number; text: string}>;
  close(): Promise<void>;
}

const connections = 16;

export function openClient({url, timeoutMs, maxBytes, allowLinkLocal}: ClientOptions): Client {
  const {origin, pathname, search} = new URL(url);
  const pool = new Pool(origin, {
    connections,
    connect: {timeout: timeoutMs, ...(allowLinkLocal ? {} : {lookup: lookUpAllowed})},
  });
  return {
    async request(method, headers) {
      const signal = AbortSignal.timeout(timeoutMs);
      const {statusCode, body} = await pool.request({path: `${pathname}${search}`, method, headers, signal});
      const chunks: Buffer[] = [];
      let size = 0;
      for await (const chunk of body as AsyncIterable<Buffer>) {
        size += chunk.length;
        // Leaving the loop ends the connection.
        if (size > maxBytes) throw new Error(`the answer is longer than ${maxBytes} bytes`);
        chunks.push(chunk);
      }
      return {status: statusCode, text: Buffer.concat(chunks).toString()};
    },
    close: () => pool.destroy(),
  };
}
