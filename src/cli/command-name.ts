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

/** A command that goes on from this one: on the same database, by the same settings. */
export function nextCommand(
  {io, globals}: Pick<Cli, 'io' | 'globals'>,
  command: readonly string[],
  args: readonly string[],
  flags: readonly string[] = [],
): string {
  const same = Object.entries({'--config': globals.config, '--db': globals.db}).flatMap(([flag, value]) =>
    value === undefined ? [] : [flag, value],
  );
  return `${commandName(io)} ${commandLine(command, args, [...flags, ...same])}`;
}
