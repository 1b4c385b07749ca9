import {z} from 'zod';
import {ChatError} from '../../core/errors.ts';
import {ClientIdInput, MessageIdInput, PageNumberInput, PageSizeInput, PostMessage} from '../../core/input.ts';
import {listMessagesAsText, type MessageRange} from '../../core/message-pages.ts';
import * as messages from '../../core/messages.ts';
import {postMessage} from '../../core/post-queue.ts';
import {presentMessage} from '../../core/present.ts';
import {answerWithText} from '../pages.ts';
import {route, type Route} from '../route.ts';
import * as schemas from '../schemas.ts';

const path = '/api/rooms/{room}/messages/';
const listQuery = z.strictObject({
  // Without its default: a list that begins at a message has no page.
  page: PageNumberInput.unwrap().optional(),
  limit: PageSizeInput,
  before: MessageIdInput.optional().meta({description: 'Messages older than this one.'}),
  after: MessageIdInput.optional().meta({description: 'Messages newer than this one, those next to it.'}),
  around: MessageIdInput.optional().meta({description: 'Messages on both sides of this one.'}),
});

export const messageRoutes: Route[] = [
  route({
    method: 'get',
    path,
    rights: ['read messages'],
    summary: 'History, newest first, by page or from a message on',
    query: listQuery,
    findsCaller: true,
    answers: {200: schemas.pageOf(schemas.Message, 'Message')},
    refusals: [404],
    async handle({chat, actor, query, roomId, options}) {
      const id = roomId();
      const page = await listMessagesAsText(chat, actor, id, rangeOf(query));
      return answerWithText(options.publicUrl(), path.replace('{room}', String(id)), query, page);
    },
  }),
  route({
    method: 'post',
    path,
    rights: ['post a message', 'post as somebody else'],
    summary: 'Post a message; a repeat of client_id (or Idempotency-Key) answers the first one with 200',
    headers: z.object({'Idempotency-Key': ClientIdInput.optional()}),
    body: PostMessage,
    limit: 'messages',
    findsCaller: true,
    answers: {200: schemas.Message, 201: schemas.Message},
    refusals: [403, 404, 409, 413, 415, 503],
    async handle({chat, actor, body, roomId, headers}) {
      const {content, user_id} = body;
      const client_id = clientIdOf(body.client_id ?? undefined, headers['Idempotency-Key']);
      const {message, repeated} = await postMessage(chat, actor, roomId(), {content, client_id, user_id});
      if (!repeated) return {status: 201, body: presentMessage(message)};
      return {status: 200, body: presentMessage(message), headers: {'Idempotency-Replayed': 'true'}};
    },
  }),
  route({
    method: 'get',
    path: `${path}{message}/`,
    rights: ['read messages'],
    summary: 'One message',
    answers: {200: schemas.Message},
    refusals: [404],
    async handle({chat, actor, roomId, messageId}) {
      return {status: 200, body: presentMessage(await messages.getMessage(chat, actor, roomId(), messageId()))};
    },
  }),
  route({
    method: 'delete',
    path: `${path}{message}/`,
    rights: ['delete own messages', 'delete messages of others'],
    summary: 'Delete a message, which leaves a tombstone',
    answers: {204: null},
    refusals: [403, 404],
    async handle({chat, actor, roomId, messageId}) {
      await messages.deleteMessage(chat, actor, roomId(), messageId());
      return {status: 204};
    },
  }),
];

function rangeOf({page, limit, before, after, around}: z.output<typeof listQuery>): MessageRange {
  const given = [page, before, after, around].filter(each => each !== undefined);
  if (given.length > 1) {
    throw new ChatError('invalid_input', 'Only one of page, before, after and around says where to list from.');
  }
  if (before !== undefined) return {limit, before};
  if (after !== undefined) return {limit, after};
  if (around !== undefined) return {limit, around};
  return {limit, page: page ?? 1};
}

/** The field and the header are the same thing; both may be sent when they agree. */
function clientIdOf(field: string | undefined, header: string | undefined): string | undefined {
  if (field === undefined || header === undefined || field === header) return field ?? header;
  throw new ChatError('invalid_input', 'client_id and the Idempotency-Key header differ.');
}
