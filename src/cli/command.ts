// A command in the tree: declared without loading what it does, so that --help and completion stay fast.
import type {Command} from 'commander';
import type {Cli} from './context.ts';
import {exits as codes} from './exit.ts';
import {fieldNames} from './fields.ts';

/** Global flags that only some commands honour; the others refuse them. */
export type Feature =
  'dry-run' | 'yes' | 'confirm' | 'as' | 'timeout' | 'fields' | 'realtime-url' | 'api-url' | 'progress';

/**
 * What a command does not do without: the database with the schema of this version, something that answers (a database
 * of any schema, a server), or nothing.
 */
export type Needs = 'schema' | 'answer' | 'nothing';

export type Run<Args extends unknown[] = never[]> = (cli: Cli, ...args: Args) => Promise<void>;

export interface Declaration {
  features: ReadonlySet<Feature>;
  fields: readonly string[] | undefined;
  fieldsWith: Readonly<Record<string, readonly string[]>>;
  examples: readonly string[];
  /** Exit codes beyond those that every command has, with their meaning here. */
  exits: readonly ExitMeaning[];
  says: string | undefined;
  needs: Needs;
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
  features?: readonly Exclude<Feature, 'fields'>[];
  /** What `--fields` can name, of what is printed; see `fields.ts`. */
  fields?: readonly string[];
  /** The same where a flag, such as `--lines`, has other things printed. */
  fieldsWith?: Readonly<Record<string, readonly string[]>>;
  /** Lines after `chatctl`. */
  examples: readonly string[];
  /** Exit codes beyond those that follow from `needs`; one of these where it means more here than everywhere. */
  exits?: string;
  /** The schema, when it is left out. */
  needs?: Needs;
  /** Shown at a terminal before anything is loaded, where that takes longer than one likes to see nothing. */
  says?: string;
  load: () => Promise<Run<never[]>>;
}

/** Adds a command; its flags are added to what this returns. */
export function declare(parent: Command, parts: CommandParts): Command {
  const command = parent.command(parts.usage).description(parts.summary);
  declarations.set(command, {
    features: new Set(featuresOf(parts)),
    fields: parts.fields,
    fieldsWith: parts.fieldsWith ?? {},
    examples: parts.examples,
    exits: exitsIn(parts.exits),
    says: parts.says,
    needs: parts.needs ?? 'schema',
    load: parts.load,
  });
  command.addHelpText('after', helpAfter(parts));
  return command;
}

function featuresOf({features = [], fields}: CommandParts): readonly Feature[] {
  return fields ? [...features, 'fields'] : features;
}

/** The global flags that this command honours; those that all do are in `chatctl --help`. */
function globalFlags(features: readonly Feature[]): string {
  return ['--config', '--db', '-o', '--json', '-q', ...features.map(each => `--${each}`)].join(', ');
}

/** The exit codes that follow from what a command needs. */
const neededExits: Record<Needs, readonly (keyof typeof codes)[]> = {
  schema: ['ok', 'failure', 'usage', 'conflict', 'unreachable', 'interrupted'],
  answer: ['ok', 'failure', 'usage', 'unreachable', 'interrupted'],
  nothing: ['ok', 'failure', 'usage', 'interrupted'],
};

/** The same by name. Of a command that says what 0 means there Ctrl-C is how one ends it, and no failure. */
export function commonExits({needs, exits}: Pick<Declaration, 'needs' | 'exits'>): (keyof typeof codes)[] {
  const endsWell = exits.some(each => each.code === 0);
  return neededExits[needs].filter(name => !(endsWell && name === 'interrupted'));
}

function helpAfter(parts: CommandParts): string {
  const {exits, needs = 'schema', fields, fieldsWith = {}} = parts;
  const lines = ['', `Takes also ${globalFlags(featuresOf(parts))}; see chatctl --help.`];
  if (fields) lines.push('', `Fields: ${fieldNames(fields).join(', ')}`);
  for (const [flag, others] of Object.entries(fieldsWith)) lines.push(`With ${flag}: ${fieldNames(others).join(', ')}`);
  const common = commonExits({needs, exits: exitsIn(exits)}).map(name => codes[name]);
  if (exits !== undefined) lines.push('', `Exit codes: ${common.join(', ')}; ${exits}. See: chatctl help exit-codes`);
  return lines.join('\n');
}

/** `3 no such room, 143` in its parts. */
function exitsIn(text = ''): ExitMeaning[] {
  return [...text.matchAll(/(?:^|, |; )(\d+)\b *(.*?)(?=[,;] \d|$)/g)].map(([, code, meaning = '']) => ({
    code: Number(code),
    meaning: meaning || 'ended by SIGTERM',
  }));
}

/** The fields of what a command prints with the flags that it was given. */
export function fieldsOf(command: Command): readonly string[] {
  const given = command.options.filter(each => command.getOptionValue(each.attributeName()) !== undefined);
  return fieldsWithFlags(
    command,
    given.map(({long}) => long ?? ''),
  );
}

export function fieldsWithFlags(command: Command, flags: readonly string[]): readonly string[] {
  const {fields = [], fieldsWith = {}} = declarations.get(command) ?? {};
  return flags.map(flag => fieldsWith[flag]).find(Boolean) ?? fields;
}

export function declarationOf(command: Command): Declaration | undefined {
  return declarations.get(command);
}
