// The tree of commands.
import {Command, Option} from 'commander';
import {declareAudit} from './commands/audit.ts';
import {declareData} from './commands/data.ts';
import {declareDelivery} from './commands/delivery.ts';
import {declareMember} from './commands/member.ts';
import {declareMessage} from './commands/message.ts';
import {declareMigrate} from './commands/migrate.ts';
import {declareConfig, declareProject} from './commands/project.ts';
import {declareRealtime} from './commands/realtime.ts';
import {declareRoom} from './commands/room.ts';
import {declareServer} from './commands/server.ts';
import {declareShell} from './commands/shell.ts';
import {declareToken} from './commands/token.ts';
import {declareUser} from './commands/user.ts';
import {formats} from './output.ts';
import {topics} from './topics.ts';
import {duration, given, list} from './values.ts';

export function createProgram(): Command {
  const program = new Command('chatctl');
  program
    .description('A chat server and its command line over one database')
    .option('--config <file>', 'project file, instead of .chatctl/config.json here or above', given)
    .option('--db <url>', 'the database, instead of DATABASE_URL', given)
    .option('--api-url <url>', 'where the API of the running server is', given)
    .option('--realtime-url <url>', 'where clients connect, ws://…/connection/websocket', given)
    .option('--centrifugo-api-url <url>', 'a real Centrifugo, instead of CENTRIFUGO_API_URL', given)
    .addOption(new Option('-o, --output <format>', 'how to print').choices([...formats]))
    .option('--json', 'the same as -o json')
    .option('--fields <a,b.c>', 'which fields, and in which order', list)
    .option('-q, --quiet', 'no notes on stderr')
    .option('-v, --verbose', 'more notes on stderr: which settings and which database')
    .option('--debug', 'details of unexpected errors')
    .addOption(new Option('--color <when>', 'colours').choices(['auto', 'always', 'never']))
    .option('--no-color', 'no colours')
    .option('--no-input', 'never ask')
    .option('-y, --yes', 'answer a confirmation')
    .option('--confirm <name>', 'answer a severe confirmation')
    .option('-n, --dry-run', 'show what would be written, and change nothing')
    .option('--timeout <duration>', 'how long to wait, such as 30s', duration)
    .addOption(new Option('--progress <how>', 'how far long work has come, on stderr').choices(['auto', 'none']))
    .option('--as <user>', 'the author of a post')
    .option('-V, --version', 'the version')
    .helpOption('-h, --help', 'show help')
    .showHelpAfterError(false)
    .addHelpText(
      'after',
      '\nA first look: chatctl dev. Topics: chatctl help <topic>, of ' + Object.keys(topics).join(', '),
    );

  program.commandsGroup('Start and run');
  declareServer(program);
  declareMigrate(program);
  declareProject(program);
  declareConfig(program);
  program.commandsGroup('Rooms and people');
  declareRoom(program);
  declareMember(program);
  declareMessage(program);
  declareUser(program);
  declareAudit(program);
  program.commandsGroup('Tokens and delivery');
  declareToken(program);
  declareRealtime(program);
  declareDelivery(program);
  program.commandsGroup('Data');
  declareData(program);
  program.commandsGroup('Reference');
  declareShell(program);
  program.helpCommand('help [topic]', 'help on a command or a topic');
  return program;
}
