import {Readable} from 'node:stream';
import {z} from 'zod';
import {eraseUser} from '../../core/erasure.ts';
import {EraseUser, parse, PutUser, SearchInput, UserIdInput} from '../../core/input.ts';
import {presentUser} from '../../core/present.ts';
import {exportUser} from '../../core/user-export.ts';
import * as users from '../../core/users.ts';
import {pageQuery, presentPage} from '../pages.ts';
import {route, type Route} from '../route.ts';
import * as schemas from '../schemas.ts';

/** An id that cannot be one is not merely absent when a user is to have it. */
const UserInPath = z.object({user: UserIdInput});

export const userRoutes: Route[] = [
  route({
    method: 'get',
    path: '/api/users/',
    rights: ['list users'],
    summary: 'The users by id',
    query: z.strictObject({...pageQuery, q: SearchInput.optional()}),
    answers: {200: schemas.pageOf(schemas.User, 'User')},
    refusals: [403],
    async handle({chat, actor, query, options}) {
      const page = await users.listUsers(chat, actor, query.q, query);
      return {status: 200, body: presentPage(options.publicUrl(), '/api/users/', query, page, presentUser)};
    },
  }),
  route({
    method: 'get',
    path: '/api/users/{user}/',
    rights: ['see users'],
    summary: 'One user',
    answers: {200: schemas.User},
    refusals: [403, 404],
    async handle({chat, actor, userId}) {
      return {status: 200, body: presentUser(await users.getUser(chat, actor, userId()))};
    },
  }),
  route({
    method: 'put',
    path: '/api/users/{user}/',
    rights: ['manage users'],
    summary: 'Make a user or rename one; a deactivated user is active again',
    body: PutUser,
    answers: {200: schemas.User},
    refusals: [403, 409, 413, 415],
    async handle({chat, actor, params, body}) {
      const {user: id} = parse(UserInPath, params);
      const {user} = await users.upsertUser(chat, actor, id, body.username);
      return {status: 200, body: presentUser(user)};
    },
  }),
  route({
    method: 'delete',
    path: '/api/users/{user}/',
    rights: ['manage users'],
    summary: 'Deactivate a user: their tokens are refused from now on, their connections end',
    answers: {204: null},
    refusals: [403, 404, 409],
    async handle({chat, actor, userId}) {
      await users.deactivateUser(chat, actor, userId());
      return {status: 204};
    },
  }),
  route({
    method: 'get',
    path: '/api/users/{user}/export/',
    rights: ['export users'],
    summary: 'Everything that the chat holds of a user',
    answers: {200: schemas.UserExport},
    refusals: [403, 404],
    async handle({chat, actor, userId}) {
      const pieces = await exportUser(chat, actor, userId());
      return {
        status: 200,
        body: Readable.from(pieces),
        headers: {'Content-Type': 'application/json; charset=utf-8', 'Content-Disposition': 'attachment'},
      };
    },
  }),
  route({
    method: 'post',
    path: '/api/users/{user}/erase/',
    rights: ['erase users'],
    summary: 'Erase a user for good; asking once more finishes what was left',
    body: EraseUser,
    answers: {200: schemas.Erasure},
    refusals: [403, 404, 413, 415],
    async handle({chat, actor, userId, body, options}) {
      return {status: 200, body: await eraseUser(chat, actor, userId(), body.messages, options.streams)};
    },
  }),
];
