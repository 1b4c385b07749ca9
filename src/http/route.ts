// A route as data: the router, the checks and the OpenAPI document are all made from the same table.
import type {z} from 'zod';
import type {Actor, Chat} from '../core/chat.ts';
import {ChatError, roomNotFound} from '../core/errors.ts';
import {MessageIdInput, parse, RoomIdInput, RoomKeyInput, UserIdInput} from '../core/input.ts';
import type {MessageId, RoomId, UserId} from '../core/ids.ts';
import type {Context, HttpOptions} from './context.ts';
import {readBody} from './body.ts';

export interface Reply {
  status: number;
  body?: object;
  headers?: Record<string, string>;
}

/** What a handler works with. The ids throw not_found when the path's text cannot be one. */
export interface Call<Query, Body> {
  chat: Chat;
  options: HttpOptions;
  actor: Actor;
  query: Query;
  body: Body;
  headers: (name: string) => string;
  roomId: () => RoomId;
  messageId: () => MessageId;
  userId: () => UserId;
  key: () => string;
}

export interface Route {
  method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  /** With `{room}`, `{message}`, `{user}` and `{key}`; ends with a slash, and is served without it too. */
  path: string;
  summary: string;
  query?: z.ZodObject;
  body?: z.ZodType;
  bodyLimit?: number;
  /** Successful answers by status; null for one without a body. */
  answers: Record<number, z.ZodType | null>;
  /** Statuses of refusals beyond 400 and 401. */
  refusals: readonly number[];
  run(ctx: Context, options: HttpOptions, actor: Actor): Promise<Reply>;
}

type RouteParts<Q extends z.ZodObject, B extends z.ZodType> = Omit<Route, 'run' | 'query' | 'body'> & {
  query?: Q;
  body?: B;
  handle: (call: Call<z.output<Q>, z.output<B>>) => Promise<Reply>;
};

/** Ties a handler's types to the schemas of its query and body. */
export function route<Q extends z.ZodObject, B extends z.ZodType>(parts: RouteParts<Q, B>): Route {
  const {handle, query, body, ...rest} = parts;
  return {
    ...rest,
    ...(query && {query}),
    ...(body && {body}),
    async run(ctx, options, actor) {
      const parsedQuery = query ? parse(query, {...ctx.query}, 'the query') : {};
      const parsedBody = body
        ? parse(body, await readBody(ctx, rest.bodyLimit ?? defaultBodyLimit), 'the body')
        : undefined;
      const call = {chat: options.chat, options, actor, query: parsedQuery, body: parsedBody, ...pathReaders(ctx)};
      return handle(call as Call<z.output<Q>, z.output<B>>);
    },
  };
}
const defaultBodyLimit = 64 * 1_024;

function pathReaders(ctx: Context) {
  const params = (ctx as unknown as {params: Record<string, string>}).params;
  const read = <S extends z.ZodType>(name: string, schema: S, absent: (text: string) => ChatError): z.output<S> => {
    const text = params[name] ?? '';
    const result = schema.safeParse(text);
    if (!result.success) throw absent(text.slice(0, 40));
    return result.data;
  };
  return {
    headers: (name: string) => ctx.get(name),
    roomId: () => read('room', RoomIdInput, roomNotFound),
    messageId: () => read('message', MessageIdInput, text => notThere('message_not_found', 'message', text)),
    userId: () => read('user', UserIdInput, text => notThere('user_not_found', 'user', text)),
    key: () => read('key', RoomKeyInput, roomNotFound),
  };
}

function notThere(code: 'message_not_found' | 'user_not_found', noun: string, text: string): ChatError {
  return new ChatError(code, `There is no ${noun} ${text}${noun === 'message' ? ' that you can see' : ''}.`);
}
