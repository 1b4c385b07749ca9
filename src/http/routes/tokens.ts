import {z} from 'zod';
import {mustBeUser} from '../../core/access.ts';
import type {Chat} from '../../core/chat.ts';
import {mintConnectionToken, mintOwnSubscriptionToken} from '../../core/tokens.ts';
import {route, type Route} from '../route.ts';
import * as schemas from '../schemas.ts';

export const tokenRoutes: Route[] = [
  route({
    method: 'get',
    path: '/api/token/connection/',
    rights: ['connect'],
    summary: 'A token for the real-time connection',
    answers: {200: schemas.Token},
    limit: 'tokens',
    refusals: [403],
    async handle({chat, actor, options}) {
      const user = mustBeUser(actor, 'connect');
      const {token} = mintConnectionToken(options.centrifugoTokenSecret, user, nowSeconds(chat));
      return {status: 200, body: {token}};
    },
  }),
  route({
    method: 'get',
    path: '/api/token/subscription/',
    rights: ['subscribe'],
    summary: 'A token for the caller’s own channel, personal:<user_id>',
    query: z.strictObject({channel: z.string().min(1).meta({example: 'personal:alice'})}),
    answers: {200: schemas.Token},
    limit: 'tokens',
    refusals: [403],
    async handle({chat, actor, query, options}) {
      const user = mustBeUser(actor, 'subscribe');
      const {token} = mintOwnSubscriptionToken(options.centrifugoTokenSecret, user, query.channel, nowSeconds(chat));
      return {status: 200, body: {token}};
    },
  }),
];

function nowSeconds(chat: Chat): number {
  return Math.floor(Date.parse(chat.now()) / 1_000);
}
