import {z} from 'zod';
import {ChatError} from '../../core/errors.ts';
import {CreateRoom, parse, PutRoom, RoomKeyInput, SearchInput, UpdateRoom} from '../../core/input.ts';
import {presentFoundRoom, presentOwnRoom, presentRoom} from '../../core/present.ts';
import * as rooms from '../../core/rooms.ts';
import type {OwnRoom, Room} from '../../db/rooms.ts';
import {bulkBodyLimit} from '../body.ts';
import {answerWithText, Flag, pageQuery, presentPage} from '../pages.ts';
import {route, type Route} from '../route.ts';
import * as schemas from '../schemas.ts';

const eitherRoom = z.union([schemas.Room, schemas.OwnRoom]);
/** A key that cannot be one is not merely absent when a room is to have it. */
const KeyInPath = z.object({key: RoomKeyInput});
const foundRooms = schemas.pageOf(schemas.RoomSearch, 'RoomSearch');
const searchQuery = z.strictObject({q: SearchInput.default(''), ...pageQuery});

export const roomRoutes: Route[] = [
  route({
    method: 'get',
    path: '/api/rooms/',
    rights: ['have rooms', 'list all rooms'],
    summary: 'Own rooms, newest first; a service lists all rooms with all=true',
    query: z.strictObject({...pageQuery, all: Flag.optional(), q: SearchInput.optional(), archived: Flag.optional()}),
    answers: {200: schemas.pageOf(eitherRoom, 'Room')},
    refusals: [403],
    async handle({chat, actor, query, options}) {
      const base = options.publicUrl();
      if (query.all) {
        const filter = {search: query.q, archived: query.archived};
        const page = await rooms.listRooms(chat, actor, filter, query);
        return {status: 200, body: presentPage(base, '/api/rooms/', query, page, presentRoom)};
      }
      if (actor.kind !== 'user') {
        throw new ChatError('permission_denied', 'A service has no rooms of its own; list all of them with ?all=true.');
      }
      if (query.q !== undefined || query.archived !== undefined) {
        throw new ChatError('invalid_input', 'q and archived go with all=true; search rooms at /api/search/.');
      }
      const {items, ...neighbours} = await rooms.listOwnRooms(chat, actor, query);
      return answerWithText(base, '/api/rooms/', query, {results: items.join(','), ...neighbours});
    },
  }),
  route({
    method: 'post',
    path: '/api/rooms/',
    rights: ['create rooms', 'create rooms where users may'],
    summary: 'Create a room',
    body: CreateRoom,
    bodyLimit: bulkBodyLimit,
    answers: {201: schemas.Room},
    refusals: [403, 409, 413, 415],
    async handle({chat, actor, body}) {
      return {status: 201, body: presentRoom(await rooms.createRoom(chat, actor, body))};
    },
  }),
  ...['/api/search/', '/api/rooms/search/'].map(path =>
    route({
      method: 'get',
      path,
      rights: ['search rooms'],
      summary: 'Public and own rooms by name',
      query: searchQuery,
      answers: {200: foundRooms},
      refusals: [403],
      async handle({chat, actor, query, options}) {
        const page = await rooms.searchRooms(chat, actor, query.q, query);
        return {status: 200, body: presentPage(options.publicUrl(), path, query, page, presentFoundRoom)};
      },
    }),
  ),
  route({
    method: 'put',
    path: '/api/rooms/by-key/{key}/',
    rights: ['put rooms by key'],
    summary:
      'Make the room of this key, or bring it to what the body says; members, when given, are then exactly these',
    body: PutRoom,
    bodyLimit: bulkBodyLimit,
    answers: {200: schemas.Room, 201: schemas.Room},
    refusals: [403, 409, 413, 415],
    async handle({chat, actor, body, params}) {
      const {key} = parse(KeyInPath, params);
      const {key: named, ...input} = body;
      if (named !== undefined && named !== key) {
        throw new ChatError('invalid_input', 'The key in the body is not the key in the path.');
      }
      const {room, created} = await rooms.putRoom(chat, actor, key, input);
      return {status: created ? 201 : 200, body: presentRoom(room)};
    },
  }),
  route({
    method: 'get',
    path: '/api/rooms/by-key/{key}/',
    rights: ['see a room'],
    summary: 'The room of this key',
    answers: {200: eitherRoom},
    refusals: [404],
    handle: async ({chat, actor, key}) => seen(await rooms.getRoomByKey(chat, actor, key())),
  }),
  route({
    method: 'get',
    path: '/api/rooms/{room}/',
    rights: ['see a room'],
    summary: 'One room',
    answers: {200: eitherRoom},
    refusals: [404],
    handle: async ({chat, actor, roomId}) => seen(await rooms.getRoom(chat, actor, roomId())),
  }),
  route({
    method: 'patch',
    path: '/api/rooms/{room}/',
    rights: ['change it'],
    summary: 'Rename, rekey, open, close, archive or unarchive a room',
    body: UpdateRoom,
    answers: {200: eitherRoom},
    refusals: [403, 404, 409, 413, 415],
    handle: async ({chat, actor, roomId, body}) => seen(await rooms.updateRoom(chat, actor, roomId(), body)),
  }),
  route({
    method: 'delete',
    path: '/api/rooms/{room}/',
    rights: ['delete rooms'],
    summary: 'Delete a room with its messages and members',
    answers: {204: null},
    refusals: [403, 404],
    async handle({chat, actor, roomId}) {
      await rooms.deleteRoom(chat, actor, roomId());
      return {status: 204};
    },
  }),
];

function seen(room: Room | OwnRoom) {
  return {status: 200, body: 'role' in room ? presentOwnRoom(room) : presentRoom(room)};
}
