import {Option, type Command} from 'commander';
import {declare} from '../command.ts';
import {eventFields, messageFields, postedFields, resultFields} from '../fields.ts';
import {count, duration, lastCount, moment} from '../values.ts';

const act = () => import('../actions/message.ts');

export function declareMessage(program: Command): void {
  const message = program.command('message').description('Messages: post, list, show, tail, search, delete');
  declare(message, {
    usage: 'post <room> [text]',
    summary: 'Post a message, as the system or with --as as a member',
    features: ['dry-run', 'as', 'timeout', 'api-url'],
    fields: messageFields,
    fieldsWith: {'--count': postedFields, '--lines': postedFields},
    examples: [
      'message post general "deploy done"',
      'message post general hello --as alice',
      'message post general "number {n}" --count 3 --interval 100ms',
    ],
    exits:
      '3 no such room, 4 not a member, 6 the API refuses the token, 7 some of many failed, 9 not delivered in time',
    load: async () => (await import('../actions/post.ts')).postMessage,
  })
    .option('--idempotency-key <key>', 'sending it again answers the first message')
    .option('--lines', 'post each line of standard input as a message')
    .option('--count <number>', 'post it so many times; {n} in the text is the number', count(1_000_000))
    .option('--interval <duration>', 'wait so long between the posts of --count', duration)
    .addOption(
      new Option('--via <door>', 'into the database, or through the API of the running server')
        .choices(['db', 'api'])
        .default('db'),
    )
    .addOption(
      new Option('--wait <state>', 'until the broker has it, for --timeout at most, else 10s').choices(['delivered']),
    );
  declare(message, {
    usage: 'list <room>',
    summary: 'List stored messages, newest first',
    features: ['progress'],
    fields: messageFields,
    examples: ['message list general', 'message list general --since 1d --from alice'],
    exits: '3 no such room or author',
    load: async () => (await act()).listMessages,
  })
    .option('--limit <number>', 'how many', count(1_000_000), 50)
    .option('--before <message>', 'older than this message')
    .option('--after <message>', 'newer than this message')
    .option('--since <time>', 'not older than this: 2h, 7d, or a time in RFC 3339', moment)
    .option('--from <user>', 'of this author')
    .option('--all', 'all of them');
  declare(message, {
    usage: 'show <id>',
    summary: 'Show one message',
    fields: messageFields,
    examples: ['message show 1'],
    exits: '3 no such message',
    load: async () => (await act()).showMessage,
  });
  declare(message, {
    usage: 'tail <room...>',
    summary: 'Follow what is stored in rooms; works without any broker',
    features: ['timeout'],
    examples: ['message tail general --last 50 --no-follow', 'message tail general --for 1s'],
    exits: '3 no such room, 9 --count was not reached within --timeout',
    load: async () => (await import('../actions/tail.ts')).tailMessages,
  })
    .option('--last <number>', 'begin with so many that are there', lastCount, 10)
    .option('--no-follow', 'end after those')
    .option('--count <number>', 'end after so many messages', count(1_000_000))
    .option('--for <duration>', 'end after this time', duration)
    .option('--interval <duration>', 'how often to look', duration, 500);
  declare(message, {
    usage: 'search <query>',
    summary: 'Look for a text in the messages of all rooms, newest first',
    fields: messageFields,
    examples: ['message search first', 'message search first --room general --since 1d'],
    exits: '3 no such room or author',
    load: async () => (await import('../actions/search.ts')).searchMessages,
  })
    .option('--room <room>', 'only in this room')
    .option('--from <user>', 'of this author')
    .option('--since <time>', 'not older than this: 2h, 7d, or a time in RFC 3339', moment)
    .option('--limit <number>', 'how many', count(10_000), 50)
    .option('--before <message>', 'older than this message');
  declare(message, {
    usage: 'delete <ids...>',
    summary: 'Delete messages and tell the members',
    features: ['dry-run', 'yes'],
    fields: [...resultFields('id'), ...eventFields],
    examples: ['message delete 1'],
    exits: '3 no such message, 7 some failed',
    load: async () => (await act()).deleteMessages,
  });
}
