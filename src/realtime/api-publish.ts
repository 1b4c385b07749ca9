// Publishing through the server API.
import {
  badRequest,
  mustBeKnown,
  mustHaveChannel,
  readerOf,
  Undecodable,
  type ApiRequest,
  type Method,
} from './api-request.ts';
import {errors} from './codes.ts';
import {isText, mapOf} from './fields.ts';
import {prepare, type Hub, type PublishRequest, type PublishResult} from './hub.ts';
import {namespaceOf} from './options.ts';
import {rawField} from './raw.ts';

export const publishMethods: Record<string, Method> = {
  publish(hub, request) {
    const publication = publicationOf(request);
    const channel = mustHaveChannel(request);
    mustBeKnown(hub, channel);
    if (!publication) throw badRequest();
    return resultText(hub.publish(channel, prepare(publication)));
  },
  broadcast(hub, request) {
    const channels = readerOf(request).texts('channels') ?? [];
    if (channels.length === 0) throw badRequest();
    const publication = publicationOf(request);
    const prepared = publication && prepare(publication);
    const responses = channels.map(channel => {
      if (channel === '') return errorText(errors.badRequest);
      const result = prepared ? hub.publish(channel, prepared) : withoutData(hub, channel);
      return result.error ? errorText(result.error) : `{"result":${JSON.stringify(result.position)}}`;
    });
    return `{"responses":[${responses.join(',')}]}`;
  },
};

/** An unknown channel is told before missing data. */
function withoutData(hub: Hub, channel: string): PublishResult {
  return {error: namespaceOf(hub.settings, channel) ? errors.badRequest : errors.unknownChannel};
}

function resultText(result: PublishResult): string {
  if (result.error) throw badRequest();
  return JSON.stringify(result.position);
}

function errorText({code, message}: {code: number; message: string}): string {
  return JSON.stringify({error: {code, message}});
}

/** Undefined when there is no data. */
function publicationOf(request: ApiRequest): PublishRequest | undefined {
  const read = readerOf(request);
  const tags = read.fields('tags') ?? {};
  if (!isTags(tags)) throw new Undecodable();
  read.flag('delta');
  const common = {
    idempotencyKey: read.text('idempotency_key') || undefined,
    skipHistory: read.flag('skip_history'),
    tags: Object.keys(tags).length > 0 ? tags : undefined,
    version: read.whole('version'),
    versionEpoch: read.text('version_epoch'),
  };
  const data = decoded(read.text('b64data')) ?? rawField(request.json, 'data');
  return data === undefined ? undefined : {data, ...common};
}

function isTags(value: Record<string, unknown>): value is Record<string, string> {
  return mapOf(isText)(value);
}

/** base64 of JSON, as JSON. */
function decoded(base64: string | undefined): string | undefined {
  if (!base64) return undefined;
  try {
    const json = Buffer.from(base64, 'base64').toString();
    JSON.parse(json);
    return json;
  } catch {
    throw badRequest();
  }
}
