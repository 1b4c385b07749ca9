// Questions to a person at a terminal, drawn on stderr so that stdout stays data. Where there is nobody to ask, the
// error names the argument or flag that would have been the answer. Answers are kept as the words that would have given
// them, so that the command can be told as a line for a script.
import {existsSync, lstatSync} from 'node:fs';
import {dirname, resolve} from 'node:path';
import {quotedWord} from '../core/command-line.ts';
import {ChatError} from '../core/errors.ts';
import {Exit, exits} from './exit.ts';
import type {Io} from './io.ts';
import {visible} from './text.ts';

export interface Choice<Value extends string = string> {
  value: Value;
  /** What the person sees; the value when it is left out. */
  name?: string;
}

/** Finds what a person may choose from; without a term the first of all. */
export type Source = (term: string | undefined) => Promise<Choice[]>;

export interface Prompter {
  canAsk: boolean;
  /** The value, or the person's answer. `name` is the argument or flag. */
  text(value: string | undefined, name: string, question: string): Promise<string>;
  /** The values, or the person's answer, split at commas and spaces. */
  texts(values: readonly string[] | undefined, name: string, question: string): Promise<string[]>;
  /** What is not shown while it is typed, and not kept. */
  secret(name: string, question: string): Promise<string>;
  /** The value, or one of a few that the person chooses. */
  choose<Value extends string>(
    value: Value | undefined,
    name: string,
    question: string,
    choices: readonly Choice<Value>[],
  ): Promise<Value>;
  /** A file that is not there yet, or undefined where the person wants none, or cannot be asked. */
  newFile(flag: string, question: string, usual: string): Promise<string | undefined>;
  /** The value, or what the person picks from a list that they search; with `typed` it may be new. */
  pick(
    value: string | undefined,
    name: string,
    question: string,
    source: Source,
    options?: {typed?: boolean},
  ): Promise<string>;
  /** The values, or all that the person marks; with `typed` what they type may be new. */
  several(
    values: readonly string[] | undefined,
    name: string,
    question: string,
    source: Source,
    options?: {typed?: boolean},
  ): Promise<string[]>;
  /** A moderate danger: yes or no, No by default, `--yes` in a script. */
  agree(question: string): Promise<void>;
  /**
   * A severe danger: the name must be typed, `--confirm <name>` in a script; `--yes` is not enough. Who is asked sees
   * the plan, which nobody else waits for.
   */
  agreeByName(what: string, name: string, plan?: () => Promise<readonly string[]>): Promise<void>;
  /** The answers so far, as words for the command line. */
  answers(): {args: readonly string[]; flags: readonly string[]};
}

interface PrompterOptions {
  canAsk: boolean;
  yes: boolean;
  confirm: string | undefined;
  /** What a severe change is about to be done to. */
  target: () => Promise<string>;
}

/** So many fit on a screen, to be marked one by one; a longer list is searched. */
const markable = 50;
const pageSize = 12;

export function prompter(io: Io, options: PrompterOptions): Prompter {
  const args: string[] = [];
  const flags: string[] = [];

  function keep(name: string, values: readonly string[]): void {
    if (name.startsWith('--')) for (const value of values) flags.push(name.split(' ')[0] ?? name, value);
    else args.push(...values);
  }

  async function typed(type: 'input' | 'password', name: string, question: string): Promise<string> {
    if (!options.canAsk) throw missing(name);
    return answered(await prompt(io, {type, message: question, validate: isAnswer(name)}));
  }

  async function searched(name: string, question: string, source: Source, mayBeNew: boolean): Promise<string> {
    if (!options.canAsk) throw missing(name);
    if (!mayBeNew && (await source(undefined)).length === 0) throw nothingToPick(name);
    const offered: Source = async term => withTyped(await source(term), term, mayBeNew);
    return String(await prompt(io, {type: 'search', message: question, source: offered, pageSize}));
  }

  /** One search after another, until the person says that these are all. */
  async function searchedAll(question: string, source: Source, mayBeNew: boolean): Promise<string[]> {
    const chosen: string[] = [];
    const offered: Source = async term => {
      const found = withTyped(await source(term), term, mayBeNew).filter(each => !chosen.includes(each.value));
      const all = {value: '', name: `That is all: ${chosen.join(', ')}`};
      return chosen.length > 0 && !term ? [all, ...found] : found;
    };
    for (;;) {
      const answer = String(await prompt(io, {type: 'search', message: question, source: offered, pageSize}));
      if (answer === '') return chosen;
      chosen.push(answer);
    }
  }

  return {
    canAsk: options.canAsk,
    async text(value, name, question) {
      if (value !== undefined) return value;
      const answer = await typed('input', name, question);
      keep(name, [answer]);
      return answer;
    },
    async texts(values, name, question) {
      if (values && values.length > 0) return [...values];
      const answers = (await typed('input', name, question)).split(/[\s,]+/).filter(Boolean);
      keep(name, answers);
      return answers;
    },
    secret: (name, question) => typed('password', name, question),
    async choose(value, name, question, choices) {
      if (value !== undefined) return value;
      if (!options.canAsk) throw missing(name);
      const answer = await prompt(io, {type: 'select', message: question, choices: choices.map(named)});
      const chosen = choices.find(each => each.value === answer)?.value;
      if (chosen === undefined) throw new Error(`chosen was ${String(answer)}`);
      keep(name, [chosen]);
      return chosen;
    },
    async newFile(flag, question, usual) {
      if (!options.canAsk) return undefined;
      if ((await prompt(io, {type: 'confirm', message: question, default: true})) !== true) return undefined;
      const into = {type: 'input', message: 'Into which file?', default: usual} as const;
      const answer = answered(await prompt(io, {...into, validate: file => isNewFile(io.cwd, answered(file))}));
      keep(flag, [answer]);
      return answer;
    },
    async pick(value, name, question, source, {typed: mayBeNew = false} = {}) {
      if (value !== undefined) return value;
      const answer = await searched(name, question, source, mayBeNew);
      keep(name, [answer]);
      return answer;
    },
    async several(values, name, question, source, {typed: mayBeNew = false} = {}) {
      if (values && values.length > 0) return [...values];
      if (!options.canAsk) throw missing(name);
      const first = await source(undefined);
      if (first.length === 0 && !mayBeNew) throw nothingToPick(name);
      const marked = !mayBeNew && first.length <= markable;
      const choices = first.map(named);
      const answers = marked
        ? ((await prompt(io, {type: 'checkbox', message: question, choices, required: true, pageSize})) as string[])
        : await searchedAll(question, source, mayBeNew);
      keep(name, answers);
      return answers;
    },
    async agree(question) {
      if (options.yes) return;
      if (!options.canAsk) {
        throw new ChatError('confirmation_required', `${question} There is no terminal to ask on.`, {
          hint: 'Answer with --yes.',
        });
      }
      if ((await prompt(io, {type: 'confirm', message: question, default: false})) !== true) refuse(io);
      flags.push('--yes');
    },
    async agreeByName(what, name, plan) {
      if (options.confirm !== undefined && options.confirm !== name) {
        throw new ChatError('confirmation_required', `--confirm says "${options.confirm}", and it is "${name}".`, {
          hint: 'Look whether it is what you mean, and give --confirm its name.',
        });
      }
      if (options.confirm === name) return;
      const target = await options.target();
      if (!options.canAsk) {
        throw new ChatError('confirmation_required', `${what} There is no terminal to ask on. The target: ${target}.`, {
          hint: `Answer with --confirm ${quotedWord(name)}`,
        });
      }
      const lines = [what, `The target: ${target}.`, ...((await plan?.()) ?? [])];
      io.stderr.write(`${lines.map(visible).join('\n')}\n`);
      const answer = answered(await prompt(io, {type: 'input', message: `Type ${name} to go on:`}));
      if (answer !== name) refuse(io);
      flags.push('--confirm', name);
    },
    answers: () => ({args, flags}),
  };
}

/** What was found and, where it may be new, what was typed. */
function withTyped(found: readonly Choice[], term: string | undefined, mayBeNew: boolean): Choice[] {
  const own = term?.trim() ?? '';
  const isNew = mayBeNew && own !== '' && !found.some(each => each.value === own);
  return isNew ? [...found, {value: own, name: `${own} (new)`}] : [...found];
}

function named<Value extends string>({value, name}: Choice<Value>): {value: Value; name: string} {
  return {value, name: name ?? value};
}

function answered(answer: unknown): string {
  return String(answer).trim();
}

/** What is asked for without an answer is asked again. */
function isAnswer(name: string): (answer: string) => true | string {
  const wanted = name.replace(/ or .*/, '').replaceAll(/[<>[\].]/g, '');
  return answer => answer.trim() !== '' || `Please type the ${wanted}, or press Ctrl-C to end.`;
}

function isNewFile(cwd: string, file: string): true | string {
  const path = resolve(cwd, file);
  if (lstatSync(path, {throwIfNoEntry: false})) return `${file} is there already: name another file.`;
  return existsSync(dirname(path)) || `There is no folder ${dirname(path)}: name another file.`;
}

function missing(name: string): ChatError {
  return new ChatError('input_required', `Missing ${name}.`, {
    hint: 'There is no terminal to ask on; --help shows the usage.',
  });
}

function nothingToPick(name: string): ChatError {
  return new ChatError('input_required', `Missing ${name}, and there is none yet to choose from.`, {
    ...(name.startsWith('<room') && {
      hint: 'See all with: chatctl room list. Make one with: chatctl room create <name>',
    }),
  });
}

function refuse(io: Io): never {
  io.stderr.write('Nothing was changed.\n');
  throw new Exit(exits.failure);
}

type Question =
  | {type: 'input' | 'password'; message: string; default?: string; validate?: (answer: string) => true | string}
  | {type: 'confirm'; message: string; default: boolean}
  | {type: 'search'; message: string; source: Source; pageSize: number}
  | {type: 'select'; message: string; choices: readonly Choice[]}
  | {type: 'checkbox'; message: string; choices: readonly Choice[]; required: boolean; pageSize: number};

/** A list that is still being looked up when the person has answered is waited for: the database is closed next. */
async function prompt(io: Io, question: Question): Promise<unknown> {
  if (question.type !== 'search') return ask(io, question);
  const {source} = question;
  const lookUps: Promise<unknown>[] = [];
  const watched: Source = term => {
    const found = source(term);
    lookUps.push(found);
    return found;
  };
  try {
    return await ask(io, {...question, source: watched});
  } finally {
    await Promise.allSettled(lookUps);
  }
}

async function ask(io: Io, question: Question): Promise<unknown> {
  const {createPromptModule} = (await import('inquirer')).default;
  const askAll = createPromptModule({input: io.stdin, output: io.stderr as NodeJS.WriteStream});
  try {
    const answers: Record<string, unknown> = await askAll([{...question, name: 'answer'}] as Parameters<
      typeof askAll
    >[0]);
    return answers['answer'];
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'ExitPromptError') throw error;
    io.stderr.write('\n');
    throw new Exit(exits.interrupted);
  }
}
