import type {Command} from 'commander';
import {declare} from '../command.ts';
import {count, duration} from '../values.ts';

const act = () => import('../actions/message.ts');

export function declareMessage(program: Command): void {
  const message = program.command('message').description('Messages: post, list, show, delete');
  declare(message, {
    usage: 'post <room> [text]',
    summary: 'Post a message, as the system or with --as as a member',
    features: ['dry-run', 'as', 'fields'],
    examples: ['message post general "deploy done"', 'message post general hello --as alice'],
    exits: '3 no such room, 4 not a member, 7 some lines failed',
    load: async () => (await act()).postMessage,
  })
    .option('--idempotency-key <key>', 'sending it again answers the first message')
    .option('--lines', 'post each line of standard input as a message');
  declare(message, {
    usage: 'list <room>',
    summary: 'List stored messages, newest first',
    features: ['fields'],
    examples: ['message list general', 'message list general --since 1d --from alice'],
    exits: '3 no such room',
    load: async () => (await act()).listMessages,
  })
    .option('--limit <number>', 'how many', count(1_000_000), 50)
    .option('--before <message>', 'older than this message')
    .option('--after <message>', 'newer than this message')
    .option('--since <duration>', 'not older than this, such as 2h', duration)
    .option('--from <user>', 'of this author')
    .option('--all', 'all of them');
  declare(message, {
    usage: 'show <id>',
    summary: 'Show one message',
    features: ['fields'],
    examples: ['message show 1'],
    exits: '3 no such message',
    load: async () => (await act()).showMessage,
  });
  declare(message, {
    usage: 'delete <ids...>',
    summary: 'Delete messages and tell the members',
    features: ['dry-run', 'yes', 'fields'],
    examples: ['message delete 1'],
    exits: '3 no such message, 7 some failed',
    load: async () => (await act()).deleteMessages,
  });
}
