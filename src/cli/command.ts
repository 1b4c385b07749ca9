// A command in the tree: declared without loading what it does, so that --help and completion stay fast.
import type {Command} from 'commander';
import type {Cli} from './context.ts';

/** Global flags that only some commands honour; the others refuse them. */
export type Feature =
  'dry-run' | 'yes' | 'confirm' | 'as' | 'timeout' | 'fields' | 'realtime-url' | 'api-url' | 'progress';

export type Run<Args extends unknown[] = never[]> = (cli: Cli, ...args: Args) => Promise<void>;

export interface Declaration {
  features: ReadonlySet<Feature>;
  examples: readonly string[];
  /** Exit codes beyond those that every command has, with their meaning here. */
  exits: readonly ExitMeaning[];
  says: string | undefined;
  load: () => Promise<Run>;
}

export interface ExitMeaning {
  code: number;
  meaning: string;
}

const declarations = new WeakMap<Command, Declaration>();

export interface CommandParts {
  /** `create <name>`; required arguments are asked for on a terminal. */
  usage: string;
  summary: string;
  features?: readonly Feature[];
  /** Lines after `chatctl`. */
  examples: readonly string[];
  /** Exit codes beyond 0, 1, 2, 4, 5 and 130; 4 where it means more here than everywhere. */
  exits?: string;
  /** Shown at a terminal before anything is loaded, where that takes longer than one likes to see nothing. */
  says?: string;
  load: () => Promise<Run<never[]>>;
}

/** Adds a command; its flags are added to what this returns. */
export function declare(parent: Command, parts: CommandParts): Command {
  const command = parent.command(parts.usage).description(parts.summary);
  declarations.set(command, {
    features: new Set(parts.features),
    examples: parts.examples,
    exits: exitsIn(parts.exits),
    says: parts.says,
    load: parts.load,
  });
  command.addHelpText('after', helpAfter(parts));
  return command;
}

/** The global flags that this command honours; those that all do are in `chatctl --help`. */
function globalFlags(features: readonly Feature[]): string {
  return ['--config', '--db', '-o', '--json', '-q', ...features.map(each => `--${each}`)].join(', ');
}

function helpAfter({exits, features = []}: CommandParts): string {
  const lines = ['', `Takes also ${globalFlags(features)}; see chatctl --help.`];
  const interrupted = endsWellByCtrlC(exitsIn(exits)) ? '' : ', 130';
  if (exits !== undefined)
    lines.push('', `Exit codes: 0, 1, 2, 4, 5${interrupted}; ${exits}. See: chatctl help exit-codes`);
  return lines.join('\n');
}

/** `3 no such room, 143` in its parts. */
function exitsIn(text = ''): ExitMeaning[] {
  return [...text.matchAll(/(?:^|, |; )(\d+)\b *(.*?)(?=[,;] \d|$)/g)].map(([, code, meaning = '']) => ({
    code: Number(code),
    meaning: meaning || 'ended by SIGTERM',
  }));
}

/** Of a command that says what 0 means there: Ctrl-C is how one ends it, and no failure. */
export function endsWellByCtrlC(own: readonly ExitMeaning[]): boolean {
  return own.some(each => each.code === 0);
}

export function declarationOf(command: Command): Declaration | undefined {
  return declarations.get(command);
}
