import type {Command} from 'commander';
import type {Cli} from '../context.ts';
import {exitMeanings, exits} from '../exit.ts';
import {commandReferences, flagReferences, referencePages} from '../reference.ts';
import {writeNewFiles} from './files.ts';

interface DocsOptions {
  format: 'markdown' | 'json';
  out?: string;
}

export function writeDocs(cli: Cli, options: DocsOptions): Promise<void> {
  write(cli, options);
  return Promise.resolve();
}

function write(cli: Cli, options: DocsOptions): void {
  const program = cli.createProgram();
  const files =
    options.format === 'json' || (options.out === undefined && cli.format === 'json')
      ? new Map([['chatctl.json', `${JSON.stringify(treeOf(program))}\n`]])
      : new Map([...referencePages(program)].map(([name, text]) => [`${name}.md`, text]));
  if (options.out === undefined || options.out === '-') {
    cli.io.stdout.write([...files.values()].join('\n'));
    return;
  }
  const written = writeNewFiles(cli, options.out, files);
  cli.print({
    items: written.map(path => ({path})),
    columns: ['path'],
    id: 'path',
    json: all => ({files: all}),
  });
}

function treeOf(program: Command): object {
  const names = Object.keys(exits) as (keyof typeof exits)[];
  return {
    commands: commandReferences(program),
    global_flags: flagReferences(program),
    exit_codes: names.map(name => ({code: exits[name], meaning: exitMeanings[name]})),
  };
}
