import {Option, type Command} from 'commander';
import {declare} from '../command.ts';
import {eventFields, memberFields, resultFields} from '../fields.ts';
import {count, pairs} from '../values.ts';

const act = () => import('../actions/member.ts');

export function declareMember(program: Command): void {
  const member = program.command('member').description('Members of a room: add, remove, list, import');
  declare(member, {
    usage: 'add <room> [users...]',
    summary: 'Add members',
    features: ['dry-run'],
    fields: [...resultFields('user'), ...eventFields],
    examples: ['member add general carol dave', 'member add general erin --role admin'],
    exits: '3 no such room, 4 is a member already, 7 some failed',
    load: async () => (await act()).addMembers,
  })
    .addOption(new Option('--role <role>', 'their role').choices(['member', 'admin']))
    .option('--stdin', 'read user ids from standard input, one a line')
    .option('--if-not-member', 'one who is a member already is no failure')
    .option('--existing-users', 'refuse ids that no user has yet');
  declare(member, {
    usage: 'remove <room> [users...]',
    summary: 'Remove members',
    features: ['dry-run', 'yes'],
    fields: [...resultFields('user'), ...eventFields],
    fieldsWith: {'--all': ['removed']},
    examples: ['member remove general bob'],
    exits: '3 no such room or member, 7 some failed',
    load: async () => (await act()).removeMembers,
  })
    .option('--all', 'all members')
    .option('--stdin', 'read user ids from standard input, one a line');
  declare(member, {
    usage: 'list <room>',
    summary: 'List members',
    features: ['progress'],
    fields: memberFields,
    examples: ['member list general', 'member list general --output csv'],
    exits: '3 no such room',
    load: async () => (await act()).listMembers,
  })
    .option('--search <text>', 'a part of the id or name')
    .option('--limit <number>', 'how many', count(1_000_000), 50)
    .option('--after <cursor>', 'go on from the `next` of an earlier list')
    .option('--all', 'all of them');
  declare(member, {
    usage: 'import <room> <file>',
    summary: 'Add many members from a CSV or NDJSON file',
    features: ['dry-run', 'progress'],
    fields: [
      'type',
      'room',
      'read',
      'added',
      'existing',
      'rejected',
      'seconds',
      'members',
      'dry_run',
      ...eventFields,
      'event.events',
    ],
    examples: ['member import general people.csv --rejects bad.csv', 'member import general people.ndjson --dry-run'],
    exits: '3 no such room or file, 4 an import of this file is unfinished, 7 some rows were rejected',
    load: async () => (await import('../actions/member-import.ts')).importMembers,
  })
    .addOption(
      new Option('--format <format>', 'of the input; else it is told by its beginning').choices(['csv', 'ndjson']),
    )
    .option('--map <field=column>', 'where user, role or username stand; may be repeated', pairs)
    .option('--batch <rows>', 'rows of one transaction', count(10_000), 1_000)
    .option('--rejects <file>', 'write the rows that are refused here, with the reason')
    .option('--resume', 'go on with an import that was interrupted')
    .option('--existing-users', 'refuse ids that no user has yet')
    .addOption(
      new Option(
        '--event <which>',
        'tell by one event at the end (summary, the default), one for each, or none',
      ).choices(['none', 'summary', 'each']),
    );
}
