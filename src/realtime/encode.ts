// Replies and pushes as JSON text. The data of a publication is put in as it is, not parsed and written again.
import type {ClientInfo, Placed, Publication} from './stream.ts';

/** JSON text on one line: a raw newline would end the message on the wire. */
export function oneLine(json: string): string {
  return json.includes('\n') || json.includes('\r') ? json.replaceAll(/[\r\n]/g, '') : json;
}

/** Without an offset for what is in no history. */
function publicationText({data, info, tags}: Publication, offset?: number): string {
  const fields = [`"data":${data}`];
  if (info) fields.push(`"info":${JSON.stringify(info)}`);
  if (offset !== undefined) fields.push(`"offset":${offset}`);
  if (tags) fields.push(`"tags":${JSON.stringify(tags)}`);
  return `{${fields.join(',')}}`;
}

function publicationsText(publications: readonly Placed[]): string {
  return `[${publications.map(({publication, offset}) => publicationText(publication, offset)).join(',')}]`;
}

export function publicationPush(channel: string, publication: Publication, offset?: number): string {
  return `{"push":{"channel":${JSON.stringify(channel)},"pub":${publicationText(publication, offset)}}}`;
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
}

export function bodyText({fields, publications}: Body): string {
  const text = JSON.stringify(fields);
  if (!publications) return text;
  return `${text.slice(0, -1)}${text === '{}' ? '' : ','}"publications":${publicationsText(publications)}}`;
}

export function reply(id: number, method: string, body: Body): string {
  return `{"id":${id},"${method}":${bodyText(body)}}`;
}
