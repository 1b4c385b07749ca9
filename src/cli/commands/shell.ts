import {Argument, Option, type Command} from 'commander';
import {declare} from '../command.ts';
import {shells} from '../shells.ts';

export function declareShell(program: Command): void {
  declare(program, {
    usage: 'completion',
    summary: 'Print a completion script, with the names of rooms and users from the database',
    examples: ['completion bash', 'completion fish'],
    needs: 'nothing',
    load: async () => (await import('../actions/completion.ts')).printCompletion,
  }).addArgument(new Argument('<shell>', 'whose script').choices(shells));
  declare(program, {
    usage: 'docs',
    summary: 'Write the reference of all commands; as JSON it is the whole tree',
    examples: ['docs --format json', 'docs --out reference'],
    exits: '4 a file is there already',
    needs: 'nothing',
    load: async () => (await import('../actions/docs.ts')).writeDocs,
  })
    .addOption(new Option('--format <format>', 'how to write it').choices(['markdown', 'json']).default('markdown'))
    .option('--out <dir>', 'a file for each command, into this folder');
  declare(program, {
    usage: 'version',
    summary: 'Versions of chatctl, Node and the database drivers',
    fields: ['chatctl', 'node', 'drivers.sqlite3', 'drivers.pg', 'schema'],
    examples: ['version --json'],
    needs: 'nothing',
    load: async () => (await import('../actions/version.ts')).showVersions,
  });
}
