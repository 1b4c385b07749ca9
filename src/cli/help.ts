// The layout of help: what a command is for, how it is typed, examples, and then what can be looked up.
import {Help, type Command} from 'commander';
import {declarationOf} from './command.ts';

/** What commander is told of the layout, by `configureHelp`. */
export const helpLayout: Partial<Help> = {
  // On a narrow terminal too.
  minWidthToWrap: 15,
  // It would stand behind the usage.
  commandDescription: () => '',
  formatHelp(command, helper) {
    const [usage = '', ...rest] = new Help().formatHelp(command, helper).trimEnd().split('\n\n');
    const about = helper.boxWrap(command.description(), helper.helpWidth ?? 80);
    const isFlags = (part: string) => part.startsWith('Options:');
    // Whoever looks for a command finds it before the flags that all of them take.
    const parts = [...rest.filter(part => !isFlags(part)), ...rest.filter(isFlags)];
    return [about, usage, ...examplesOf(command), ...parts].join('\n\n') + '\n';
  },
};

/** Whole lines, however narrow the terminal is: they are there to be pasted. */
function examplesOf(command: Command): string[] {
  const lines = declarationOf(command)?.examples.map(example => `  $ chatctl ${example}`) ?? [];
  return lines.length === 0 ? [] : [['Examples:', ...lines].join('\n')];
}
