// What a client's frame says: commands, one on each line, decoded before any of them is judged.
import {badRequest} from './codes.ts';
import {fits, isFields, isFlag, isInteger, isText, isWhole, mapOf, shaped, type Fields, type Shape} from './fields.ts';
import {rawField} from './raw.ts';

export interface Command {
  /** 0 when there is none. */
  id: number;
  /** Undefined when none is known: a pong, or nonsense. */
  method: string | undefined;
  request: Fields;
}

export const positionShape: Shape = {offset: isWhole, epoch: isText};
const channelAndToken: Shape = {channel: isText, token: isText};

/** The methods with their fields, in the order in which a command that has several is understood. */
const shapes = new Map<string, Shape>([
  [
    'connect',
    {
      token: isText,
      name: isText,
      version: isText,
      headers: mapOf(isText),
      subs: mapOf(shaped({recover: isFlag, ...positionShape})),
      flag: isInteger,
    },
  ],
  [
    'subscribe',
    {
      ...channelAndToken,
      ...positionShape,
      recover: isFlag,
      positioned: isFlag,
      recoverable: isFlag,
      join_leave: isFlag,
      delta: isText,
      flag: isInteger,
      type: isInteger,
    },
  ],
  ['unsubscribe', {channel: isText}],
  ['publish', {channel: isText}],
  ['presence', {channel: isText}],
  ['presence_stats', {channel: isText}],
  ['history', {channel: isText, limit: isInteger, reverse: isFlag, since: shaped(positionShape)}],
  ['rpc', {method: isText}],
  ['send', {}],
  ['refresh', {token: isText}],
  ['sub_refresh', channelAndToken],
]);

/** A frame's lines. One newline at the end is fine; what is empty before it is not a command. */
export function linesOf(frame: string): string[] {
  const lines = frame.split('\n');
  if (lines.length > 1 && lines.at(-1) === '') lines.pop();
  return lines;
}

/** The command on a line. Throws the bad request that ends the connection. */
export function decodeCommand(line: string): Command {
  const command = parse(line);
  if (!isFields(command)) throw badRequest();
  const id = idOf(command);
  for (const [method, shape] of shapes) {
    const request = command[method];
    if (request === undefined || request === null) continue;
    if (!isFields(request) || !fits(request, shape)) throw badRequest();
    return {id, method, request: method === 'publish' ? withRawData(line, request) : request};
  }
  return {id, method: undefined, request: {}};
}

/** `data` as text. */
function withRawData(line: string, request: Fields): Fields {
  return {...request, data: rawField(rawField(line, 'publish') ?? '{}', 'data')};
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw badRequest();
  }
}

const maxId = 4_294_967_295;

function idOf({id}: Fields): number {
  if (id === undefined || id === null) return 0;
  if (!isWhole(id) || id > maxId) throw badRequest();
  return id;
}
