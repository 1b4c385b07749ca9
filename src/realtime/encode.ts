// Replies and pushes as JSON text. The data of a publication is put in as it is, not parsed and written again.
import type {ProtocolError} from './codes.ts';
import type {ClientInfo, Placed, Position, Publication} from './stream.ts';

/** JSON text on one line: a raw newline would end the message on the wire. */
export function oneLine(json: string): string {
  return json.includes('\n') || json.includes('\r') ? json.replaceAll(/[\r\n]/g, '') : json;
}

/** Where a publication is: nowhere, when it is in no history. */
type Place = {[name in keyof Position]?: Position[name] | undefined};

function publicationText({data, info, tags}: Publication, {offset, epoch}: Place): string {
  const fields = [`"data":${data}`];
  if (info) fields.push(`"info":${JSON.stringify(info)}`);
  if (offset !== undefined) fields.push(`"offset":${offset}`);
  if (epoch !== undefined) fields.push(`"epoch":"${epoch}"`);
  if (tags) fields.push(`"tags":${JSON.stringify(tags)}`);
  return `{${fields.join(',')}}`;
}

function publicationsText(publications: readonly Placed[]): string {
  return `[${publications.map(({publication, offset}) => publicationText(publication, {offset})).join(',')}]`;
}

/** The first publication of a stream tells the epoch, which the others share. */
export function publicationPush(channel: string, publication: Publication, {offset, epoch}: Place): string {
  const position = offset === 1 ? {offset, epoch} : {offset};
  return `{"push":{"channel":${JSON.stringify(channel)},"pub":${publicationText(publication, position)}}}`;
}

export function push(channel: string | undefined, kind: string, body: object): string {
  return JSON.stringify({push: {...(channel === undefined ? {} : {channel}), [kind]: body}});
}

export function joinOrLeave(channel: string, kind: 'join' | 'leave', info: ClientInfo): string {
  return push(channel, kind, {info});
}

/** A reply or subscription result: its fields, and publications as text after them. */
export interface Body {
  fields: object;
  publications?: readonly Placed[];
  /** What follows the reply. */
  afterReply?: (() => void) | undefined;
}

export function bodyText({fields, publications}: Body): string {
  const text = JSON.stringify(fields);
  if (!publications) return text;
  return `${text.slice(0, -1)}${text === '{}' ? '' : ','}"publications":${publicationsText(publications)}}`;
}

export function errorReply(id: number, error: ProtocolError): string {
  return JSON.stringify({id, error});
}

export function reply(id: number, method: string, body: Body): string {
  return `{"id":${id},"${method}":${bodyText(body)}}`;
}
