import {Option, type Command} from 'commander';
import {declare} from '../command.ts';
import {list} from '../values.ts';
import {presetNames} from './data.ts';

export function declareServer(program: Command): void {
  declare(program, {
    usage: 'dev',
    summary: 'The whole chat for development: server, demo users with tokens, a room',
    examples: ['dev', 'dev --users alice,bob,carol'],
    exits: '0 ended by Ctrl-C, 4 another server runs on this database or has the port of --port, 143',
    load: async () => (await import('../actions/dev.ts')).dev,
  })
    .option('--port <port>', 'port of the API, instead of PORT')
    .option('--users <ids>', 'demo users', list, ['alice', 'bob'])
    .option('--no-watch', 'go on as it was started when settings change in .env or the project file')
    .addOption(
      new Option('--seed <preset>', 'demo data at the first start, as `chatctl seed` makes it').choices(presetNames),
    );
  declare(program, {
    usage: 'serve',
    summary: 'Run the API server and the delivery',
    examples: ['serve --migrate'],
    exits: '4 migrations are pending, 143',
    says: 'Starting …',
    load: async () => (await import('../actions/serve.ts')).serve,
  })
    .option('--host <address>', 'where to listen, instead of HOST')
    .option('--port <port>', 'port of the API, instead of PORT')
    .option('--migrate', 'apply pending migrations first')
    .addOption(new Option('--log <format>', 'how to log').choices(['json', 'pretty']).default('json'));
}
