// A route as data: the router, the checks and the OpenAPI document are all made from the same table.
import type {z} from 'zod';
import type {Actor, Chat} from '../core/chat.ts';
import {ChatError, roomNotFound} from '../core/errors.ts';
import {MessageIdInput, parse, RoomIdInput, RoomKeyInput, UserIdInput} from '../core/input.ts';
import type {MessageId, RoomId, UserId} from '../core/ids.ts';
import type {Action} from '../core/rights.ts';
import {bodyLimit, readBody} from './body.ts';
import type {Context, HttpOptions} from './context.ts';

export type PathParams = Record<string, string>;

/** What the OpenAPI document tells of any route. */
interface Described {
  method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  /** With parameters as in `{room}`. One that ends with a slash is served without it too, and the other way round. */
  path: string;
  summary: string;
  query?: z.ZodObject;
  /** Request headers by name, beyond those that every request may have. */
  headers?: z.ZodObject;
  body?: z.ZodType;
  /** Successful answers by status; null for one without a body. */
  answers: Record<number, z.ZodType | null>;
  /** Of the answers, where it is not JSON. */
  mediaType?: string;
  /** Statuses of refusals, beyond those that every route may answer. */
  refusals: readonly number[];
}

/** A route that anybody may ask. */
export interface OpenRoute extends Described {
  method: 'get';
  /** Not counted by the rate limits. */
  unlimited?: boolean;
  serve(ctx: Context, options: HttpOptions, params: PathParams): Promise<void> | void;
}

/** A route that needs a token. */
export interface Route extends Described {
  /** What of core/rights the caller may need; the use case asks, and the tests try it for every caller. */
  rights: readonly [Action, ...Action[]];
  /** A rate limit beside the one for all that reads or changes. */
  limit?: 'tokens' | 'messages';
  /** The use case finds out by itself whether its caller is an active user: one look at the database less for each request. */
  findsCaller?: true;
  /** What was sent is read before `begin`, which waits for the caller's turn at the database and may refuse it. */
  run(ctx: Context, options: HttpOptions, actor: Actor, params: PathParams, begin: () => Promise<void>): Promise<Reply>;
}

export interface Reply {
  status: number;
  /** A text or a stream needs a Content-Type among the headers. */
  body?: object | string;
  headers?: Record<string, string>;
}

/** What a handler works with. The ids throw not_found when the path's text cannot be one. */
export interface Call<Query, Body, Headers> {
  chat: Chat;
  options: HttpOptions;
  actor: Actor;
  query: Query;
  body: Body;
  headers: Headers;
  params: PathParams;
  roomId: () => RoomId;
  messageId: () => MessageId;
  userId: () => UserId;
  key: () => string;
}

type Parts<Q extends z.ZodObject, B extends z.ZodType, H extends z.ZodObject> = Omit<Described, 'query' | 'body'> & {
  query?: Q;
  headers?: H;
  body?: B;
  /** For a service; a user sends no more than is usual, whatever the route. */
  bodyLimit?: number;
  rights: Route['rights'];
  limit?: 'tokens' | 'messages';
  findsCaller?: true;
  handle: (call: Call<z.output<Q>, z.output<B>, z.output<H>>) => Promise<Reply>;
};

/** Ties a handler's types to the schemas of its query, headers and body. */
export function route<Q extends z.ZodObject, B extends z.ZodType, H extends z.ZodObject>(parts: Parts<Q, B, H>): Route {
  const {handle, bodyLimit: limit = bodyLimit, ...described} = parts;
  const {query, headers, body} = parts;
  return {
    ...described,
    async run(ctx, options, actor, params, begin) {
      const parsed = {
        query: query && parse(query, {...ctx.query}, 'the query'),
        headers: headers && parse(headers, headersOf(ctx, headers), 'the headers'),
        body: body && parse(body, await readBody(ctx, actor.kind === 'user' ? bodyLimit : limit), 'the body'),
      };
      await begin();
      const call = {chat: options.chat, options, actor, params, ...parsed, ...pathReaders(params)};
      return handle(call as Call<z.output<Q>, z.output<B>, z.output<H>>);
    },
  };
}

/** Those that the schema names, under its names. An empty header is not an absent one. */
function headersOf(ctx: Context, schema: z.ZodObject): object {
  return Object.fromEntries(Object.keys(schema.shape).map(name => [name, ctx.req.headers[name.toLowerCase()]]));
}

function pathReaders(params: PathParams) {
  const read = <S extends z.ZodType>(name: string, schema: S, absent: (text: string) => ChatError): z.output<S> => {
    const text = params[name] ?? '';
    const result = schema.safeParse(text);
    if (!result.success) throw absent(text.slice(0, 40));
    return result.data;
  };
  return {
    roomId: () => read('room', RoomIdInput, roomNotFound),
    messageId: () => read('message', MessageIdInput, text => notThere('message_not_found', 'message', text)),
    userId: () => read('user', UserIdInput, text => notThere('user_not_found', 'user', text)),
    key: () => read('key', RoomKeyInput, roomNotFound),
  };
}

function notThere(code: 'message_not_found' | 'user_not_found', noun: string, text: string): ChatError {
  return new ChatError(code, `There is no ${noun} ${text}${noun === 'message' ? ' that you can see' : ''}.`);
}
