// The streams of a Centrifugo, or of the embedded endpoint, over the server HTTP API.
import type {StreamEntry, Streams} from '../core/broker.ts';
import {ChatError} from '../core/errors.ts';

const timeoutMs = 5_000;
const clearsPerRequest = 1_000;

interface ApiAnswer {
  result?: {
    epoch?: string;
    offset?: number;
    publications?: {offset?: number; data?: unknown; tags?: Record<string, string>}[];
  };
  error?: {code: number; message: string};
  /** Of a batch. */
  replies?: {error?: {code: number; message: string}}[];
}

export function openStreams(url: string, apiKey: string): Streams {
  const origin = url.replace(/\/+$/, '');

  async function call(method: string, request: object): Promise<{answer: ApiAnswer; date: string | null}> {
    const response = await fetch(`${origin}/api/${method}`, {
      method: 'POST',
      headers: {'content-type': 'application/json', 'x-api-key': apiKey},
      body: JSON.stringify(request),
      signal: AbortSignal.timeout(timeoutMs),
    }).catch((cause: unknown) => {
      throw new ChatError('broker_unreachable', `There is no Centrifugo at ${origin}.`, {
        cause,
        hint: 'Start it, or a server with the embedded endpoint: chatctl dev',
      });
    });
    if (!response.ok) throw refused(origin, `it answers ${response.status}${hints[response.status] ?? ''}`);
    const answer = (await response.json()) as ApiAnswer;
    if (answer.error) throw refused(origin, `${answer.error.code} ${answer.error.message}`);
    return {answer, date: response.headers.get('date')};
  }

  return {
    name: origin,
    async ping() {
      const {date} = await call('info', {});
      return {clock: date === null ? undefined : new Date(date)};
    },
    async history(channel) {
      const {answer} = await call('history', {channel, limit: -1});
      const {epoch = '', offset = 0, publications = []} = answer.result ?? {};
      return {epoch, offset, entries: publications.map(toEntry)};
    },
    async publish(channel, data, tags) {
      await call('publish', {channel, data: JSON.parse(data) as unknown, tags});
    },
    async clear(channels) {
      for (let start = 0; start < channels.length; start += clearsPerRequest) {
        const commands = channels.slice(start, start + clearsPerRequest).map(channel => ({history_remove: {channel}}));
        const {answer} = await call('batch', {parallel: true, commands});
        const failed = answer.replies?.find(each => each.error)?.error;
        if (failed) throw refused(origin, `${failed.code} ${failed.message}`);
      }
    },
  };
}

const hints: Record<number, string> = {
  401: ' (is CENTRIFUGO_API_KEY the same on both sides?)',
  404: ' (is CENTRIFUGO_API_URL the address of its server API?)',
};

function toEntry({
  offset = 0,
  data,
  tags = {},
}: {
  offset?: number;
  data?: unknown;
  tags?: Record<string, string>;
}): StreamEntry {
  return {offset, data, tags};
}

function refused(origin: string, reason: string): ChatError {
  return new ChatError('broker_refused', `Centrifugo at ${origin} refuses: ${reason}.`, {
    hint: 'Is CENTRIFUGO_API_KEY the http_api.key that it has? See: chatctl doctor',
  });
}
