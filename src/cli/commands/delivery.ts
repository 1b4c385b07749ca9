import {Option, type Command} from 'commander';
import {checkIds} from '../checks.ts';
import {declare} from '../command.ts';
import {resultFields} from '../fields.ts';
import {count, duration, list} from '../values.ts';

const outbox = () => import('../actions/outbox.ts');

const waitingFields = ['id', 'type', 'room', 'version', 'partition', 'created_at'];

export function declareDelivery(program: Command): void {
  declareOutbox(program);
  const centrifugo = program.command('centrifugo').description('A Centrifugo beside this: its configuration');
  declare(centrifugo, {
    usage: 'config',
    summary: 'Print a Centrifugo v6 configuration for these settings; secrets come by the environment',
    examples: ['centrifugo config'],
    exits: '4 the file is there already',
    needs: 'nothing',
    load: async () => (await import('../actions/centrifugo.ts')).printConfig,
  })
    .addOption(new Option('--format <format>', 'how to write it').choices(['json', 'yaml']).default('json'))
    .option('--out <file>', 'write it to a file');
  declare(program, {
    usage: 'trace <message>',
    summary: 'Follow one message from its row to a member’s stream',
    features: ['realtime-url'],
    fields: ['name', 'state', 'detail', 'at', 'ms'],
    examples: ['trace 1 --user bob'],
    exits: '3 no such message or user, 8 a hop is missing, 9 it did not arrive in time',
    load: async () => (await import('../actions/trace.ts')).trace,
  })
    .option('--user <user>', 'to this member; the first one when it is left out')
    .option(
      '--wait <duration>',
      'how long to wait for it to arrive, in the stream and at a client of theirs',
      duration,
    );
  declare(program, {
    usage: 'verify',
    summary: 'Hold the database against every member’s stream: missing, repeated, out of order',
    features: ['realtime-url', 'dry-run', 'yes'],
    fields: ['fault', 'user', 'room', 'version'],
    examples: ['verify --room general', 'verify --repair --dry-run'],
    exits: '3 no such room or user, 8 something is wrong',
    load: async () => (await import('../actions/verify.ts')).verify,
  })
    .option('--room <room>', 'only this room')
    .option('--user <user>', 'only this user’s stream')
    .option('--repair', 'publish what is missing, and clear streams that cannot be mended');
  declare(program, {
    usage: 'doctor',
    summary: 'Check everything a chat needs, and say how to repair it or do so',
    features: ['realtime-url', 'dry-run', 'yes'],
    fields: ['id', 'status', 'message', 'fix', 'fixed'],
    examples: ['doctor --only database,delivery', 'doctor --fix --only node,files,config,database'],
    exits: '8 a check failed',
    says: 'Checking …',
    needs: 'nothing',
    load: async () => (await import('../actions/doctor.ts')).doctor,
  })
    .helpGroup('Start and run')
    .option('--only <checks>', `of ${checkIds.join(', ')}`, list)
    .option('--fix', 'repair what can be: secrets, modes of files, the schema');
}

function declareOutbox(program: Command): void {
  const parent = program.command('outbox').description('Events on their way: status, list, retry, drop');
  declare(parent, {
    usage: 'status',
    summary: 'How many events wait, for how long and, with --watch, how fast they leave',
    features: ['timeout'],
    fields: ['depth', 'oldest_age_ms', 'parked', 'delivered', 'rate', 'partitions.*'],
    examples: ['outbox status --max-lag 30s', 'outbox status --watch --for 2s'],
    exits: '8 the oldest waits longer than --max-lag',
    load: async () => (await import('../actions/outbox-status.ts')).outboxStatus,
  })
    .option('--max-lag <duration>', 'end with 8 when the oldest event waits longer', duration)
    .option('--watch', 'look again and again, until Ctrl-C')
    .option('--for <duration>', 'watch for so long', duration)
    .option('--interval <duration>', 'watch so often, else every 1s', duration);
  declare(parent, {
    usage: 'list',
    summary: 'List waiting or parked events',
    fields: waitingFields,
    fieldsWith: {'--parked': [...waitingFields, 'parked_at', 'error']},
    examples: ['outbox list --parked'],
    load: async () => (await outbox()).listOutbox,
  })
    .option('--parked', 'those that were refused for good, with the reason')
    .option('--limit <number>', 'how many', count(10_000), 50)
    .option('--after <id>', 'go on after this event');
  declare(parent, {
    usage: 'retry [ids...]',
    summary: 'Deliver parked events after all',
    features: ['yes', 'dry-run'],
    fields: resultFields('id'),
    examples: ['outbox retry --all --yes'],
    exits: '3 no such event, 7 some failed',
    load: async () => (await outbox()).retryEvents,
  }).option('--all', 'all parked events');
  declare(parent, {
    usage: 'drop [ids...]',
    summary: 'Give parked events up for good',
    features: ['confirm', 'dry-run'],
    fields: resultFields('id'),
    examples: ['outbox drop --all --confirm outbox'],
    exits: '3 no such event, 7 some failed',
    load: async () => (await outbox()).dropEvents,
  }).option('--all', 'all parked events');
}
