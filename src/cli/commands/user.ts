import type {Command} from 'commander';
import {declare} from '../command.ts';
import {count} from '../values.ts';

const act = () => import('../actions/user.ts');

export function declareUser(program: Command): void {
  const user = program.command('user').description('Users as they are known here: list, show, upsert, deactivate');
  declare(user, {
    usage: 'list',
    summary: 'List users by id',
    features: ['fields'],
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
    features: ['fields'],
    examples: ['user show alice', 'user show alice --rooms --json'],
    exits: '3 no such user',
    load: async () => (await act()).showUser,
  }).option('--rooms', 'with their rooms, up to 100');
  declare(user, {
    usage: 'upsert <user>',
    summary: 'Make a user or rename one; a deactivated user is active again',
    features: ['dry-run', 'fields'],
    examples: ['user upsert carol --username Carol'],
    exits: '4 the user was erased',
    load: async () => (await act()).upsertUser,
  }).option('--username <name>', 'the name to show; the id when it is left out');
  declare(user, {
    usage: 'deactivate <user>',
    summary: 'Refuse a user’s tokens from now on and end their connections',
    features: ['dry-run', 'yes', 'fields'],
    examples: ['user deactivate bob --yes'],
    exits: '3 no such user',
    load: async () => (await act()).deactivateUser,
  });
}
