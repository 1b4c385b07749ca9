import {z} from 'zod';
import {ChangeMembers, MarkRead, PutMember, SearchInput} from '../../core/input.ts';
import * as members from '../../core/members.ts';
import {presentMember, presentMembership, presentRoom} from '../../core/present.ts';
import {bulkBodyLimit} from '../body.ts';
import {pageQuery, presentPage} from '../pages.ts';
import {route, type Route} from '../route.ts';
import * as schemas from '../schemas.ts';

const room = '/api/rooms/{room}/';

export const memberRoutes: Route[] = [
  route({
    method: 'post',
    path: `${room}join/`,
    rights: ['join a room', 'join a private room'],
    summary: 'Join a public room',
    answers: {200: schemas.Membership},
    refusals: [403, 404, 409],
    async handle({chat, actor, roomId}) {
      return {status: 200, body: presentMembership(await members.joinRoom(chat, actor, roomId()))};
    },
  }),
  route({
    method: 'post',
    path: `${room}leave/`,
    rights: ['leave a room'],
    summary: 'Leave a room',
    answers: {200: schemas.Membership},
    refusals: [403, 404],
    async handle({chat, actor, roomId}) {
      return {status: 200, body: presentMembership(await members.leaveRoom(chat, actor, roomId()))};
    },
  }),
  route({
    method: 'post',
    path: `${room}read/`,
    rights: ['read a room'],
    summary: 'Move the read marker forward to a seq',
    body: MarkRead,
    answers: {200: schemas.ReadMarker},
    refusals: [403, 404, 413, 415],
    async handle({chat, actor, roomId, body}) {
      const marker = await members.markRead(chat, actor, roomId(), body.seq);
      return {status: 200, body: {last_read_seq: marker.lastReadSeq, unread_count: marker.unreadCount}};
    },
  }),
  route({
    method: 'get',
    path: `${room}members/`,
    rights: ['list members'],
    summary: 'The members by user id',
    query: z.strictObject({...pageQuery, q: SearchInput.optional()}),
    answers: {200: schemas.pageOf(schemas.Member, 'Member')},
    refusals: [404],
    async handle({chat, actor, roomId, query, options}) {
      const id = roomId();
      const page = await members.listMembers(chat, actor, id, query, query.q);
      return {
        status: 200,
        body: presentPage(options.publicUrl(), `/api/rooms/${id}/members/`, query, page, presentMember),
      };
    },
  }),
  route({
    method: 'post',
    path: `${room}members/`,
    rights: ['change many members at once'],
    summary: 'Add and remove many members as one change',
    body: ChangeMembers,
    bodyLimit: bulkBodyLimit,
    answers: {200: schemas.MembersChanged},
    refusals: [403, 404, 409, 413, 415],
    async handle({chat, actor, roomId, body}) {
      const change = {add: body.add ?? [], remove: body.remove ?? []};
      const changed = await members.changeMembers(chat, actor, roomId(), change);
      return {status: 200, body: {room: presentRoom(changed.room), added: changed.added, removed: changed.removed}};
    },
  }),
  route({
    method: 'put',
    path: `${room}members/{user}/`,
    rights: ['add members or change roles'],
    summary: 'Add a member, or change the role of one',
    body: PutMember,
    answers: {200: schemas.Membership, 201: schemas.Membership},
    refusals: [403, 404, 409, 413, 415],
    async handle({chat, actor, roomId, userId, body}) {
      const put = await members.putMember(chat, actor, roomId(), userId(), {role: body.role});
      return {status: put.created ? 201 : 200, body: presentMembership(put)};
    },
  }),
  route({
    method: 'delete',
    path: `${room}members/{user}/`,
    rights: ['remove members'],
    summary: 'Remove a member',
    answers: {204: null},
    refusals: [403, 404],
    async handle({chat, actor, roomId, userId}) {
      await members.removeMember(chat, actor, roomId(), userId());
      return {status: 204};
    },
  }),
];
