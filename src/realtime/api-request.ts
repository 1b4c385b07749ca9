// Requests of the server API: what is common to reading them and to refusing them.
import {CommandError, errors} from './codes.ts';
import {fieldReader, type FieldReader, type Fields} from './fields.ts';
import type {Hub} from './hub.ts';
import {namespaceOf, type Namespace} from './options.ts';

export interface ApiRequest {
  fields: Fields;
  /** The same as it came. */
  json: string;
}

/** Answers a result as JSON text. Throws CommandError or Undecodable. */
export type Method = (hub: Hub, request: ApiRequest) => string;

/** An error of the server API; its codes are numbered like the client's, without `temporary`. */
export function refuse(error: {code: number; message: string}): CommandError {
  return new CommandError({code: error.code, message: error.message});
}

export const badRequest = (): CommandError => refuse(errors.badRequest);
export const notFound = (): CommandError => refuse({code: 104, message: 'not found'});

/** A request whose fields have the wrong types is not a request at all. */
export class Undecodable extends Error {}

export function readerOf({fields}: ApiRequest): FieldReader {
  return fieldReader(fields, () => new Undecodable());
}

export function mustBeKnown(hub: Hub, channel: string): Namespace {
  const namespace = namespaceOf(hub.settings, channel);
  if (!namespace) throw refuse(errors.unknownChannel);
  return namespace;
}

export function mustHaveChannel(request: ApiRequest): string {
  const channel = readerOf(request).text('channel') ?? '';
  if (channel === '') throw badRequest();
  return channel;
}
