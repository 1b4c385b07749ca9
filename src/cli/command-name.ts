import {basename, relative} from 'node:path';
import {commandLine} from '../core/command-line.ts';
import type {Cli} from './context.ts';
import type {Io} from './io.ts';

/** How the person started this, so that printed lines can be pasted and work. */
export function commandName({env, cwd, started}: Io): string {
  const {npm_lifecycle_event: event, npm_package_name: name} = env;
  // The variables are inherited: another package's script, or our tests, may stand above us.
  if (name === 'chatctl' && ['start', 'dev', 'chatctl'].includes(event ?? '')) return 'npm run --silent chatctl --';
  if (event === 'npx' || env['npm_command'] === 'exec') return 'npx chatctl';
  if (basename(started.script) === 'chatctl') return 'chatctl';
  const near = relative(cwd, started.script);
  return commandLine(['node', ...started.flags, near.startsWith('..') ? started.script : near]);
}

/** What flags are called, and what was said with them: nothing, a word, or several for one that may be repeated. */
export type Said = Readonly<Record<string, boolean | string | number | readonly string[] | undefined>>;

/** The words of flags as one types them; of those that were not given none. */
export function wordsOf(flags: Said): string[] {
  return Object.entries(flags).flatMap(([flag, value]) => {
    if (value === undefined || value === false) return [];
    if (value === true) return [flag];
    return (typeof value === 'object' ? value : [String(value)]).flatMap(each => [flag, each]);
  });
}

/** How a command prints and asks: of the flags that every command takes those that have nothing to do with what it does. */
export function mannerOf({globals}: Pick<Cli, 'globals'>): string[] {
  const {output, json, fields, quiet, verbose, debug, color, input, yes, confirm, progress} = globals;
  return wordsOf({
    '--output': output,
    '--json': json,
    '--fields': fields?.join(','),
    '--quiet': quiet,
    '--verbose': verbose,
    '--debug': debug,
    '--color': typeof color === 'string' && color,
    '--no-color': color === false,
    '--no-input': input === false,
    '--yes': yes,
    '--confirm': confirm,
    '--progress': progress,
  });
}

/** A command that goes on from this one: on the same database, by the same settings. */
export function nextCommand(
  {io, globals}: Pick<Cli, 'io' | 'globals'>,
  command: readonly string[],
  args: readonly string[],
  flags: readonly string[] = [],
): string {
  const same = wordsOf({'--config': globals.config, '--db': globals.db});
  return `${commandName(io)} ${commandLine(command, args, [...flags, ...same])}`;
}
