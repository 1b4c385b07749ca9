import {Option, type Command} from 'commander';
import {declare} from '../command.ts';
import {count, list, moment} from '../values.ts';

/** How much demo data there can be. */
export const presetNames = ['small', 'grandchat'];

export function declareData(program: Command): void {
  declare(program, {
    usage: 'seed',
    summary: 'Demo data: people, rooms and messages, the same for the same --random; goes on where it was interrupted',
    features: ['dry-run', 'confirm', 'progress'],
    fields: ['id', 'name', 'members', 'messages'],
    examples: ['seed --append --confirm chat.db', 'seed --users 50 --rooms 3 --messages 100 --dry-run --append'],
    exits: '4 the database is not empty',
    load: async () => (await import('../actions/seed.ts')).seed,
  })
    .addOption(
      new Option('--preset <name>', 'how much: grandchat has 100,000 users and rooms of 100 to 100,000')
        .choices(presetNames)
        .default('small'),
    )
    .option('--users <number>', 'how many users', count(10_000_000))
    .option('--rooms <number>', 'how many rooms', count(100_000))
    .option('--messages <number>', 'how many messages in all', count(10_000_000))
    .option('--random <number>', 'another number, other data', count(999_999_999), 1)
    .option('--append', 'add to what is there');
  declare(program, {
    usage: 'export [file]',
    summary: 'Write users, rooms, members and messages as NDJSON, as they are at one moment',
    features: ['progress'],
    fields: ['file', 'users', 'rooms', 'members', 'messages', 'sha256', 'seconds'],
    examples: ['export backup.ndjson.gz --gzip', 'export --room general --only messages --since 7d'],
    exits: '3 no such room, 4 the file exists',
    load: async () => (await import('../actions/export.ts')).exportData,
  })
    .option('--room <room>', 'only this room')
    .option('--since <time>', 'only messages not older than this: 2h, 7d, or a time in RFC 3339', moment)
    .option('--only <kinds>', 'of users, rooms, members, messages', list)
    .option('--gzip', 'compress it')
    .option('--force', 'write over a file that exists');
  const load = declare(program, {
    usage: 'import <file>',
    summary: 'Load an export; rooms and messages keep their ids',
    features: ['dry-run', 'yes', 'confirm', 'progress'],
    fields: ['type', 'read', 'added', 'updated', 'existing', 'rejected', 'seconds', 'events', 'valid', 'dry_run'],
    examples: ['import backup.ndjson --validate-only', 'import backup.ndjson --mode upsert --dry-run'],
    exits: '3 no such file, 4 the file is damaged or its import unfinished, 7 some lines were rejected',
    load: async () => (await import('../actions/import.ts')).importData,
  })
    .option('--validate-only', 'look at the file alone')
    .addOption(
      new Option('--mode <mode>', 'what is here already: refuse it (insert, the default), or write over it').choices([
        'insert',
        'upsert',
      ]),
    )
    .option('--rejects <file>', 'write the lines that are refused here, with the reason')
    .option('--resume', 'go on with an import that was interrupted')
    .addOption(
      new Option(
        '--event <which>',
        'tell by one event for each room at the end (summary, the default), or not at all',
      ).choices(['none', 'summary']),
    )
    .option('--batch <lines>', 'lines of one transaction', count(2_500), 1_000);
  declare(load, {
    usage: 'grandchat [postgres-url]',
    summary: 'Take over the users, rooms, members and messages of a GrandChat (Django) database',
    features: ['dry-run', 'yes', 'confirm', 'progress'],
    fields: [
      'rooms',
      'users',
      'members',
      'messages',
      'conflicts.*',
      'refused.*',
      'conflict_count',
      'refused_count',
      'checksums.*',
      'equal',
      'dry_run',
      'seconds',
    ],
    examples: [
      'import grandchat postgres://grandchat@old-host/grandchat --dry-run',
      'import grandchat --url-file old-url.txt --yes',
    ],
    exits: '3 no such file, 4 rooms or messages have these ids here, 7 some rows were refused',
    load: async () => (await import('../actions/grandchat.ts')).importGrandChat,
  }).option('--url-file <file>', 'where the address is; else the argument, else GRANDCHAT_DATABASE_URL');
}
