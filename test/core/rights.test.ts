// The table of rights against the use cases themselves, which both doors call: every action by everybody who gets as far
// as this, the operator of the command line among them.
import test from 'ava';
import {listAudit} from '../../src/core/audit.ts';
import type {Actor} from '../../src/core/chat.ts';
import {eraseUser} from '../../src/core/erasure.ts';
import {ChatError} from '../../src/core/errors.ts';
import type {MessageId, RoomId, UserId} from '../../src/core/ids.ts';
import * as importsOf from '../../src/core/imports.ts';
import {CreateRoom, parse, PostMessage} from '../../src/core/input.ts';
import * as members from '../../src/core/members.ts';
import {listMessages} from '../../src/core/message-pages.ts';
import * as messages from '../../src/core/messages.ts';
import * as outbox from '../../src/core/outbox.ts';
import {mustBeManager, mustBeUser} from '../../src/core/access.ts';
import {postMessage} from '../../src/core/post-queue.ts';
import {rights, type Action, type Caller} from '../../src/core/rights.ts';
import * as rooms from '../../src/core/rooms.ts';
import {getStatus, probeWriting} from '../../src/core/status.ts';
import {exportUser} from '../../src/core/user-export.ts';
import * as users from '../../src/core/users.ts';
import type {OpenChat} from '../../src/open.ts';
import {openTestChat, operator, testUser, userId} from '../helpers/chat.ts';
import {databases} from '../helpers/database.ts';

interface World {
  chat: OpenChat;
  actor: Actor;
  room: RoomId;
  /** Of somebody else, and of the actor where they may have one. */
  message: MessageId;
  own: MessageId;
  lee: UserId;
}

const page = {page: 1, limit: 10};
const text = (more: object = {}) => parse(PostMessage, {content: 'x', ...more});
const newRoom = (more: object = {}) => parse(CreateRoom, {name: 'x', ...more});

const uses: Record<Action, (world: World) => unknown> = {
  'see a room': ({chat, actor, room}) => rooms.getRoom(chat, actor, room),
  'read messages': ({chat, actor, room}) => listMessages(chat, actor, room, {page: 1, limit: 1}),
  'list members': ({chat, actor, room}) => members.listMembers(chat, actor, room, page),
  'post a message': ({chat, actor, room}) => postMessage(chat, actor, room, text()),
  'post as somebody else': ({chat, actor, room}) => postMessage(chat, actor, room, text({user_id: 'lee'})),
  'delete own messages': ({chat, actor, room, own}) => messages.deleteMessage(chat, actor, room, own),
  'delete messages of others': ({chat, actor, room, message}) => messages.deleteMessage(chat, actor, room, message),
  'join a room': ({chat, actor, room}) =>
    rooms.updateRoom(chat, operator, room, {visibility: 'public'}).then(() => members.joinRoom(chat, actor, room)),
  'join a private room': ({chat, actor, room}) => members.joinRoom(chat, actor, room),
  'leave a room': ({chat, actor, room}) => members.leaveRoom(chat, actor, room),
  'read a room': ({chat, actor, room}) => members.markRead(chat, actor, room, 1),
  'change it': ({chat, actor, room}) => rooms.updateRoom(chat, actor, room, {name: 'other'}),
  'add members or change roles': ({chat, actor, room, lee}) =>
    members.putMember(chat, actor, room, lee, {role: 'admin'}),
  'remove members': ({chat, actor, room, lee}) => members.removeMember(chat, actor, room, lee),
  'change many members at once': ({chat, actor, room, lee}) =>
    members.changeMembers(chat, actor, room, {add: [], remove: [lee]}),
  'delete rooms': ({chat, actor, room}) => rooms.deleteRoom(chat, actor, room),
  connect: ({actor}) => mustBeUser(actor, 'connect'),
  subscribe: ({actor}) => mustBeUser(actor, 'subscribe'),
  'have rooms': ({chat, actor}) => rooms.listOwnRooms(chat, actor, page),
  'search rooms': ({chat, actor}) => rooms.searchRooms(chat, actor, '', page),
  'create rooms': ({chat, actor}) => rooms.createRoom(chat, actor, newRoom()),
  'create rooms where users may': ({chat, actor}) =>
    rooms.createRoom({...chat, roomCreation: 'users'}, actor, newRoom()),
  'put rooms by key': ({chat, actor}) => rooms.putRoom(chat, actor, 'k', newRoom()),
  'list all rooms': ({chat, actor}) => rooms.listRooms(chat, actor, {}, page),
  'see users': ({chat, actor, lee}) => users.getUser(chat, actor, lee),
  'list users': ({chat, actor}) => users.listUsers(chat, actor, undefined, page),
  'manage users': ({chat, actor, lee}) => users.upsertUser(chat, actor, lee, 'Lee'),
  'export users': ({chat, actor, lee}) => exportUser(chat, actor, lee),
  'erase users': ({chat, actor}) => eraseUser(chat, actor, userId('gus'), 'keep'),
  'read the audit log': ({chat, actor}) => listAudit(chat, actor, {}, {limit: 1}),
  'name rooms': ({chat, actor, room}) => rooms.resolveRoom(chat, actor, `id:${room}`),
  'name a message without its room': ({chat, actor, message}) => messages.getRoomOfMessage(chat, actor, message),
  'search the messages of all rooms': ({chat, actor}) => messages.searchMessages(chat, actor, 'x', {limit: 1}),
  'see what is in the database': ({chat, actor}) => getStatus(chat, actor),
  'try the database': ({chat, actor}) => probeWriting(chat, actor),
  'import members': ({chat, actor, room}) =>
    importsOf.rehearseMembers(chat, actor, {room, rows: [], existingUsers: false}, new Set()),
  import: ({chat, actor}) => importsOf.findImportAt(chat, actor, 'x'),
  export: ({actor}) => mustBeManager(actor, 'export'),
  seed: ({actor}) => mustBeManager(actor, 'seed'),
  'take over a database': ({actor}) => mustBeManager(actor, 'take over a database'),
  'see the outbox': ({chat, actor}) => outbox.listEvents(chat, actor, 0, 1),
  'retry events': ({actor}) => mustBeManager(actor, 'retry events'),
  'drop events': ({actor}) => mustBeManager(actor, 'drop events'),
  'verify streams': ({actor}) => mustBeManager(actor, 'verify streams'),
  'repair streams': ({actor}) => mustBeManager(actor, 'repair streams'),
};

/** Who is let in at all; the others are refused by their token before a use case is reached. */
type Inside = Exclude<Caller, 'nobody' | 'deactivated'>;
const insiders: readonly Inside[] = ['stranger', 'ex_member', 'member', 'admin', 'service', 'operator'];
const user = (id: string): Actor => ({kind: 'user', id: userId(id)});
const actors: Record<Inside, Actor> = {
  stranger: user('sam'),
  ex_member: user('eve'),
  member: user('mia'),
  admin: user('ann'),
  service: {kind: 'service', name: 'primary'},
  operator,
};

async function newWorld(chat: OpenChat, caller: Inside): Promise<World> {
  const actor = actors[caller];
  const {id} = await rooms.createRoom(chat, operator, newRoom({visibility: 'private', members: ['mia', 'lee', 'eve']}));
  await members.putMember(chat, operator, id, userId('ann'), {role: 'admin'});
  const {message} = await postMessage(chat, operator, id, text());
  const mine = caller === 'stranger' ? operator : actor;
  const {message: own} = await postMessage(chat, mine, id, text());
  await members.removeMember(chat, operator, id, userId('eve'));
  return {chat, actor, room: id, message: message.id, own: own.id, lee: userId('lee')};
}

/** What the table calls the outcome. That a member cannot join again is no matter of rights. */
async function outcome(use: () => unknown): Promise<string> {
  try {
    await use();
    return 'yes';
  } catch (error) {
    if (!(error instanceof ChatError)) throw error;
    const rightsOf: Record<string, string> = {
      permission_denied: 'denied',
      room_not_found: 'hidden',
      already_member: 'yes',
    };
    return rightsOf[error.code] ?? error.code;
  }
}

for (const database of databases) {
  test(`${database}: every use case answers everybody as the table of rights says`, async t => {
    const chat = await openTestChat(t, database);
    for (const name of ['sam', 'eve', 'mia', 'ann', 'lee', 'gus']) await testUser(chat, name);
    const kept = new Map<Inside, World>();
    for (const [action, use] of Object.entries(uses) as [Action, (world: World) => unknown][]) {
      for (const caller of insiders) {
        // What is refused leaves its room as it was, for the next that is to be refused.
        const refused = rights[action][caller] !== 'yes' && action !== 'join a room';
        const world = (refused && kept.get(caller)) || (await newWorld(chat, caller));
        if (refused) kept.set(caller, world);
        t.is(await outcome(() => use(world)), rights[action][caller], `to ${action}, by ${caller}`);
      }
    }
  });
}
