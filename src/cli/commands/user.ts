import {Option, type Command} from 'commander';
import {declare} from '../command.ts';
import {userFields} from '../fields.ts';
import {count} from '../values.ts';

const act = () => import('../actions/user.ts');

export function declareUser(program: Command): void {
  const user = program
    .command('user')
    .description('Users as they are known here: list, show, upsert, deactivate, export, erase');
  declare(user, {
    usage: 'list',
    summary: 'List users by id',
    features: ['progress'],
    fields: userFields,
    examples: ['user list', 'user list --search ali'],
    load: async () => (await act()).listUsers,
  })
    .option('--search <text>', 'a part of the id or name')
    .option('--limit <number>', 'how many', count(1_000_000), 50)
    .option('--after <cursor>', 'go on from the `next` of an earlier list')
    .option('--all', 'all of them');
  declare(user, {
    usage: 'show <user>',
    summary: 'Show one user',
    fields: userFields,
    examples: ['user show alice', 'user show alice --rooms --json'],
    exits: '3 no such user',
    load: async () => (await act()).showUser,
  }).option('--rooms', 'with their rooms, up to 100');
  declare(user, {
    usage: 'upsert <user>',
    summary: 'Make a user or rename one; a deactivated user is active again',
    features: ['dry-run'],
    fields: userFields,
    examples: ['user upsert carol --username Carol'],
    exits: '4 the user was erased',
    load: async () => (await act()).upsertUser,
  }).option('--username <name>', 'the name to show; the id when it is left out');
  declare(user, {
    usage: 'deactivate <user>',
    summary: 'Refuse a user’s tokens from now on and end their connections',
    features: ['dry-run', 'yes'],
    fields: userFields,
    examples: ['user deactivate bob --yes'],
    exits: '3 no such user',
    load: async () => (await act()).deactivateUser,
  });
  declare(user, {
    usage: 'export <user> [file]',
    summary: 'Everything that the chat holds of a user, as one JSON document',
    examples: ['user export alice alice.json'],
    exits: '3 no such user, 4 the file is there already',
    load: async () => (await import('../actions/user-erase.ts')).exportUser,
  });
  declare(user, {
    usage: 'erase <user>',
    summary: 'Erase a user for good: name, memberships and, where you say so, messages',
    features: ['dry-run', 'confirm', 'realtime-url'],
    fields: ['user', 'memberships', 'messages', 'mode'],
    examples: [
      'user erase alice --messages redact --confirm alice',
      'user erase bob --messages keep --export bob.json --confirm bob',
    ],
    exits: '3 no such user, 4 the export is there already',
    load: async () => (await import('../actions/user-erase.ts')).eraseUser,
  })
    .addOption(
      new Option(
        '--messages <fate>',
        'what becomes of the messages: redact tells each room, delete each message',
      ).choices(['keep', 'redact', 'delete']),
    )
    .option('--export <file>', 'write what there is of the user to this file first');
}
