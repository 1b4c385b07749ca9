// Questions to a person at a terminal, drawn on stderr so that stdout stays data. Where there is nobody to ask, the
// error names the argument or flag that would have been the answer.
import {ChatError} from '../core/errors.ts';
import {Exit, exits} from './exit.ts';
import type {Io} from './io.ts';

export interface Prompter {
  canAsk: boolean;
  /** The value, or the person's answer. `name` is the argument or flag. */
  text(value: string | undefined, name: string, question: string): Promise<string>;
  /** The values, or the person's answer, split at commas and spaces. */
  texts(values: readonly string[] | undefined, name: string, question: string): Promise<string[]>;
  /** A moderate danger: yes or no, No by default, `--yes` in a script. */
  agree(question: string): Promise<void>;
  /** A severe danger: the name must be typed, `--confirm <name>` in a script; `--yes` is not enough. */
  agreeByName(what: string, name: string): Promise<void>;
}

export function prompter(io: Io, options: {canAsk: boolean; yes: boolean; confirm: string | undefined}): Prompter {
  async function input(question: string): Promise<string> {
    return String(await prompt(io, {type: 'input', message: question})).trim();
  }

  async function text(value: string | undefined, name: string, question: string): Promise<string> {
    if (value !== undefined) return value;
    if (!options.canAsk) throw missing(name);
    const answer = await input(question);
    if (answer === '') throw missing(name);
    return answer;
  }

  return {
    canAsk: options.canAsk,
    text,
    async texts(values, name, question) {
      if (values && values.length > 0) return [...values];
      return (await text(undefined, name, question)).split(/[\s,]+/).filter(Boolean);
    },
    async agree(question) {
      if (options.yes) return;
      if (!options.canAsk) {
        throw new ChatError('confirmation_required', `${question} There is no terminal to ask on.`, {
          hint: 'Answer with --yes.',
        });
      }
      if ((await prompt(io, {type: 'confirm', message: question, default: false})) !== true) refuse(io);
    },
    async agreeByName(what, name) {
      if (options.confirm !== undefined && options.confirm !== name) {
        throw new ChatError('confirmation_required', `--confirm says "${options.confirm}", and it is "${name}".`);
      }
      if (options.confirm === name) return;
      if (!options.canAsk) {
        throw new ChatError('confirmation_required', `${what} There is no terminal to ask on.`, {
          hint: `Answer with --confirm ${quoted(name)}`,
        });
      }
      io.stderr.write(`${what}\n`);
      if ((await input(`Type ${name} to go on:`)) !== name) refuse(io);
    },
  };
}

function quoted(name: string): string {
  return /^[\w.-]+$/.test(name) ? name : `'${name.replaceAll("'", String.raw`'\''`)}'`;
}

function missing(name: string): ChatError {
  return new ChatError('input_required', `Missing ${name}.`, {
    hint: 'There is no terminal to ask on; --help shows the usage.',
  });
}

function refuse(io: Io): never {
  io.stderr.write('Nothing was changed.\n');
  throw new Exit(exits.failure);
}

async function prompt(
  io: Io,
  question: {type: 'input' | 'confirm'; message: string; default?: boolean},
): Promise<unknown> {
  const {createPromptModule} = (await import('inquirer')).default;
  const ask = createPromptModule({input: io.stdin, output: io.stderr as NodeJS.WriteStream});
  try {
    const {answer}: {answer: unknown} = await ask([{...question, name: 'answer'}]);
    return answer;
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'ExitPromptError') throw error;
    io.stderr.write('\n');
    throw new Exit(exits.interrupted);
  }
}
