import {Option, type Command} from 'commander';
import {declare} from '../command.ts';
import {eventFields, resultFields, roomFields} from '../fields.ts';
import {collect, count} from '../values.ts';

const act = () => import('../actions/room.ts');

export function declareRoom(program: Command): void {
  const room = program.command('room').description('Rooms: create, list, show, rename, archive, delete');
  declare(room, {
    usage: 'create <name>',
    summary: 'Create a room',
    features: ['dry-run'],
    fields: roomFields,
    examples: [
      'room create general --member alice --member bob',
      'room create "Order 1042" --key order-1042 --private --output id',
    ],
    exits: '4 the key is taken',
    load: async () => (await act()).createRoom,
  })
    .option('--key <key>', 'your own key for the room')
    .option('--private', 'nobody can join by themselves')
    .option('--member <user>', 'a first member; may be repeated', collect)
    .option('--if-not-exists', 'answer the room of this key, or of this name, when there is one');
  declare(room, {
    usage: 'list',
    summary: 'List rooms',
    features: ['progress'],
    fields: roomFields,
    examples: ['room list', 'room list --search gen --sort members --limit 10'],
    exits: '3 no such user',
    load: async () => (await act()).listRooms,
  })
    .option('--search <text>', 'a part of the name')
    .option('--member <user>', 'rooms of this user')
    .option('--archived', 'archived rooms only')
    .addOption(new Option('--sort <by>', 'order').choices(['bumped', 'name', 'members', 'id']).default('bumped'))
    .option('--limit <number>', 'how many', count(1_000_000), 50)
    .option('--after <cursor>', 'go on from the `next` of an earlier list')
    .option('--all', 'all of them');
  declare(room, {
    usage: 'show <room>',
    summary: 'Show one room with its counts and last message',
    fields: roomFields,
    examples: ['room show general', 'room show id:1 --members --json'],
    exits: '3 no such room',
    load: async () => (await act()).showRoom,
  }).option('--members', 'with its members, up to 100');
  declare(room, {
    usage: 'rename <room> <name>',
    summary: 'Rename a room and tell its members',
    features: ['dry-run'],
    fields: roomFields,
    examples: ['room rename general lobby'],
    exits: '3 no such room',
    load: async () => (await act()).renameRoom,
  });
  declare(room, {
    usage: 'archive <room...>',
    summary: 'Close rooms for new messages; can be taken back',
    features: ['dry-run', 'yes'],
    fields: [...resultFields('room', 'id'), ...eventFields],
    examples: ['room archive general'],
    exits: '3 no such room, 7 some failed',
    load: async () => (await act()).archiveRooms,
  });
  declare(room, {
    usage: 'unarchive <room...>',
    summary: 'Open archived rooms again',
    features: ['dry-run', 'yes'],
    fields: [...resultFields('room', 'id'), ...eventFields],
    examples: ['room unarchive general'],
    exits: '3 no such room, 7 some failed',
    load: async () => (await act()).unarchiveRooms,
  });
  declare(room, {
    usage: 'delete <room>',
    summary: 'Delete a room with its messages and members',
    features: ['dry-run', 'confirm'],
    fields: ['id', 'rooms', 'members', 'messages'],
    examples: ['room delete general --confirm general'],
    exits: '3 no such room',
    load: async () => (await act()).deleteRoom,
  });
}
