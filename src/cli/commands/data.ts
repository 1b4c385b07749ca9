import {Option, type Command} from 'commander';
import {declare} from '../command.ts';
import {count, duration, list} from '../values.ts';

export function declareData(program: Command): void {
  declare(program, {
    usage: 'seed',
    summary: 'Demo data: people, rooms and messages, the same for the same --random',
    features: ['dry-run', 'confirm', 'fields', 'progress'],
    examples: ['seed --append --confirm chat.db', 'seed --users 50 --rooms 3 --messages 100 --dry-run --append'],
    exits: '4 the database is not empty',
    load: async () => (await import('../actions/seed.ts')).seed,
  })
    .addOption(
      new Option('--preset <name>', 'how much: grandchat has 100,000 users and rooms of 100 to 100,000')
        .choices(['small', 'grandchat'])
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
    features: ['fields', 'progress'],
    examples: ['export backup.ndjson.gz --gzip', 'export --room general --only messages --since 7d'],
    exits: '3 no such room, 4 the file exists',
    load: async () => (await import('../actions/export.ts')).exportData,
  })
    .option('--room <room>', 'only this room')
    .option('--since <duration>', 'only messages of this time, such as 7d', duration)
    .option('--only <kinds>', 'of users, rooms, members, messages', list)
    .option('--gzip', 'compress it')
    .option('--force', 'write over a file that exists');
}
