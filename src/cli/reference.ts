// The reference of all commands, made from the tree itself.
import type {Command} from 'commander';
import {declarationOf} from './command.ts';
import {createProgram} from './program.ts';

/** Every command that does something, with its words from the top. */
function leaves(command: Command, words: readonly string[] = []): {usage: string; summary: string}[] {
  const own = declarationOf(command)
    ? [
        {
          usage: [...words, command.usage().replace(/^\[options\] ?/, '')].join(' ').trim(),
          summary: command.description(),
        },
      ]
    : [];
  return [...own, ...command.commands.flatMap(child => leaves(child, [...words, child.name()]))];
}

/** The README's table of commands, a line each. */
export function commandTable(): string[] {
  const rows = leaves(createProgram()).map(
    ({usage, summary}) => `| \`${usage}\` | ${summary.replaceAll('|', '\\|')} |`,
  );
  return ['| command | what it does |', '|---|---|', ...rows];
}
