import type {Command} from 'commander';
import {declare} from '../command.ts';
import {count, moment} from '../values.ts';

export function declareAudit(program: Command): void {
  const audit = program.command('audit').description('The log of who changed what: list');
  declare(audit, {
    usage: 'list',
    summary: 'Who changed what, when and through which door, newest first',
    features: ['progress'],
    fields: ['id', 'at', 'actor', 'door', 'action', 'room_id', 'user_id', 'detail.*'],
    examples: ['audit list --since 7d', 'audit list --room general --action member.add --json'],
    exits: '3 no such room or user',
    load: async () => (await import('../actions/audit.ts')).listAudit,
  })
    .option('--since <time>', 'not older than this: 2h, 7d, or a time in RFC 3339', moment)
    .option('--until <time>', 'older than this', moment)
    .option('--actor <name>', 'by whom: user:alice, service:primary, operator:deploy')
    .option('--action <action>', 'only this action, such as room.delete')
    .option('--room <room>', 'in this room; a deleted one by its id')
    .option('--user <user>', 'to this user, or in their name')
    .option('--limit <number>', 'how many', count(1_000_000), 50)
    .option('--after <id>', 'go on from the `next` of an earlier list')
    .option('--all', 'all of them');
}
