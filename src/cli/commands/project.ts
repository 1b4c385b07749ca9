import {Option, type Command} from 'commander';
import {declare} from '../command.ts';
import {statusFields} from '../fields.ts';

const act = () => import('../actions/config.ts');

export function declareProject(program: Command): void {
  declare(program, {
    usage: 'init [dir]',
    summary: 'Write settings, secrets, a compose file and Centrifugo’s configuration',
    features: ['dry-run'],
    examples: ['init', 'init chat --db postgres --centrifugo docker'],
    exits: '4 a file is there already',
    needs: 'nothing',
    load: async () => (await import('../actions/init.ts')).init,
  })
    .addOption(
      new Option(
        '--centrifugo <how>',
        'docker, url (with --centrifugo-api-url), or none: the embedded endpoint',
      ).choices(['docker', 'url', 'none']),
    )
    .option('--force', 'write over files that are there; secrets in them stay')
    .option('--print', 'print the files with placeholders for secrets, and write none')
    .addHelpText(
      'after',
      '\n--db takes sqlite (the default), postgres (one is added to the compose file) or an address.',
    );
  declare(program, {
    usage: 'status',
    summary: 'Show the database, what is in it, what waits, and whether a server runs',
    fields: statusFields,
    examples: ['status', 'status --json'],
    exits: '4 migrations are pending',
    load: async () => (await import('../actions/status.ts')).showStatus,
  });
}

export function declareConfig(program: Command): void {
  const config = program.command('config').description('The settings: show, check, env');
  declare(config, {
    usage: 'show',
    summary: 'Show the settings in force, with secrets masked',
    fields: ['key', 'value', 'origin'],
    examples: ['config show', 'config show --origin'],
    needs: 'nothing',
    load: async () => (await act()).showConfig,
  })
    .option('--origin', 'which of flag, environment, .env and file each came from')
    .option('--reveal', 'show secrets');
  declare(config, {
    usage: 'check [file]',
    summary: 'Check a project file, or the one in force with the environment',
    fields: ['path', 'message'],
    examples: ['config check', 'config check --strict'],
    exits: '3 no such file, 8 something is wrong',
    needs: 'nothing',
    load: async () => (await act()).checkConfig,
  }).option('--strict', 'hold it to what production needs');
  declare(config, {
    usage: 'env',
    summary: 'List every variable with its default and meaning',
    fields: ['name', 'default', 'meaning'],
    examples: ['config env', 'config env --shell'],
    needs: 'nothing',
    load: async () => (await act()).listVariables,
  }).option('--shell', 'as lines for a shell or an .env file');
}
