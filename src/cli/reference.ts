// The reference of all commands, made from the tree itself.
import type {Argument, Command, Option} from 'commander';
import {commonExits, declarationOf, type Declaration, type ExitMeaning} from './command.ts';
import {fieldNames} from './fields.ts';
import {exitMeanings, exits} from './exit.ts';

export interface ArgumentReference {
  name: string;
  required: boolean;
  variadic: boolean;
}

export interface FlagReference {
  flags: string;
  /** What stands for its value, `<user>`; null for one that has none. */
  value: string | null;
  description: string;
  choices: readonly string[] | null;
  default: unknown;
}

export interface CommandReference {
  path: string;
  usage: string;
  summary: string;
  args: ArgumentReference[];
  flags: FlagReference[];
  /** Flags of `chatctl` itself that only some commands take. */
  global_flags: string[];
  /** What `--fields` can name; of a command that does not take it null. */
  fields: readonly string[] | null;
  /** The same where a flag has other things printed, by the flag. */
  fields_with: Record<string, readonly string[]>;
  examples: readonly string[];
  exit_codes: ExitMeaning[];
}

/** Every command that does something, by its words from the top. */
export function commandReferences(command: Command, words: readonly string[] = []): CommandReference[] {
  const declaration = declarationOf(command);
  const own = declaration ? [referenceOf(command, declaration, words)] : [];
  return [...own, ...command.commands.flatMap(child => commandReferences(child, [...words, child.name()]))];
}

function referenceOf(command: Command, declaration: Declaration, words: readonly string[]): CommandReference {
  const own = new Set(declaration.exits.map(each => each.code));
  const shared = commonExits(declaration).map(name => ({code: exits[name], meaning: exitMeanings[name]}));
  const codes = [...shared.filter(({code}) => !own.has(code)), ...declaration.exits];
  return {
    path: words.join(' '),
    usage: [
      ...words,
      command
        .usage()
        .replace(/^\[options\] ?/, '')
        .replace(/^\[command\] (?=\S)/, ''),
    ]
      .join(' ')
      .trim(),
    summary: command.description(),
    args: command.registeredArguments.map(argumentReference),
    flags: flagReferences(command),
    global_flags: [...declaration.features].map(feature => `--${feature}`),
    fields: declaration.fields ? fieldNames(declaration.fields) : null,
    fields_with: Object.fromEntries(
      Object.entries(declaration.fieldsWith).map(([flag, fields]) => [flag, fieldNames(fields)]),
    ),
    examples: declaration.examples,
    exit_codes: codes.toSorted((a, b) => a.code - b.code),
  };
}

function argumentReference(argument: Argument): ArgumentReference {
  return {name: argument.name(), required: argument.required, variadic: argument.variadic};
}

/** The flags that the command itself declares. */
export function flagReferences(command: Command): FlagReference[] {
  return command.options.map((option: Option) => ({
    flags: option.flags,
    value: /[<[].*[>\]]$/.exec(option.flags)?.[0] ?? null,
    description: option.description,
    choices: option.argChoices ?? null,
    default: option.defaultValue ?? null,
  }));
}

const cell = (text: string) => text.replaceAll('|', String.raw`\|`);

/** The README's table of commands, a line each. */
export function commandTable(program: Command): string[] {
  const rows = commandReferences(program).map(({usage, summary}) => `| \`${cell(usage)}\` | ${cell(summary)} |`);
  return ['| command | what it does |', '|---|---|', ...rows];
}

/** A page of Markdown for each command of the top level, by its name. */
export function referencePages(program: Command): Map<string, string> {
  const pages = new Map<string, string>();
  for (const reference of commandReferences(program)) {
    const [top = ''] = reference.path.split(' ');
    const head = `# chatctl ${top}\n\nMade from the commands themselves by \`chatctl docs\`.\n`;
    pages.set(top, `${pages.get(top) ?? head}\n${section(reference).join('\n')}\n`);
  }
  return pages;
}

function section(reference: CommandReference): string[] {
  const flags = reference.flags.map(each => `| \`${cell(each.flags)}\` | ${cell(about(each))} |`);
  const codes = reference.exit_codes.map(({code, meaning}) => `| ${code} | ${cell(meaning)} |`);
  const global = reference.global_flags.map(each => `\`${each}\``).join(', ');
  return [
    `## ${reference.path}\n`,
    `${reference.summary}.\n`,
    `    chatctl ${reference.usage}\n`,
    'Examples:\n',
    ...reference.examples.map(example => `    $ chatctl ${example}`),
    ...(flags.length > 0 ? ['', '| flag | meaning |', '| --- | --- |', ...flags] : []),
    ...(global ? ['', `Takes also ${global}.`] : []),
    '',
    '| exit code | meaning |',
    '| --- | --- |',
    ...codes,
  ];
}

function about({description, choices, default: fallback}: FlagReference): string {
  const parts = [choices && `one of ${choices.join(', ')}`, fallback !== null && `default ${JSON.stringify(fallback)}`];
  const more = parts.filter(Boolean).join('; ');
  return more ? `${description} (${more})` : description;
}
