// From the arguments to an exit code. The only place where errors become exit codes.
import {styleText} from 'node:util';
import {CommanderError, InvalidArgumentError, type Command} from 'commander';
import {ChatError} from '../core/errors.ts';
import {commandName} from './command-name.ts';
import {commandLine} from '../core/command-line.ts';
import {hideSecrets} from '../core/redact.ts';
import {declarationOf, fieldsOf, type Feature} from './command.ts';
import {createCli, type Cli, type Globals} from './context.ts';
import {tell, told} from './errors.ts';
import {Exit, exits} from './exit.ts';
import {mustBeFields} from './fields.ts';
import {helpLayout} from './help.ts';
import {canAsk, colorsOf, type Colors, type ColorWish, type Io} from './io.ts';
import {didYouMean} from '../core/nearest.ts';
import {mustHideSecrets, secretAdvice, withoutValue} from './secret-flags.ts';
import {createProgram} from './program.ts';
import {visible} from './text.ts';
import {topics} from './topics.ts';
import {choice, duration} from './values.ts';

export async function run(argv: readonly string[], io: Io): Promise<number> {
  let code: number = exits.ok;
  let lost: ChatError | undefined;
  for (const stream of [io.stdout, io.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      // A reader that has seen enough, such as `head`, is no failure; a full disk is.
      if (error.code === 'EPIPE') return;
      lost = new ChatError('internal', `The output cannot be written: ${error.message}.`, {cause: error});
    });
  }
  const colors = colorsOf(io, colorIn(flagsOf(argv)));
  try {
    await parse(createProgram(), argv, io, colors);
  } catch (error) {
    code = codeOf(error, argv, io, colors);
  }
  // What cannot be written is told when it is tried, which may be later.
  await new Promise<void>(resolve => io.stdout.write('', () => resolve()));
  return code === exits.ok && lost ? codeOf(lost, argv, io, colors) : code;
}

async function parse(program: Command, argv: readonly string[], io: Io, colors: Colors, asked = false): Promise<void> {
  if (await showVersion(argv, io)) return;
  if (argv[0] === '__complete') return (await import('./complete.ts')).complete(program, argv.slice(1), io);
  if (argv[0] === '__complete-line') return (await import('./complete.ts')).completeLine(program, argv[1] ?? '', io);
  const interactive = canAsk(io, flagsOf(argv).includes('--no-input'));
  prepare(program, {io, colors, argv, interactive, asked});
  const topic = argv[0] === 'help' && Object.hasOwn(topics, argv[1] ?? '') ? topics[argv[1] ?? ''] : undefined;
  if (topic !== undefined) return void io.stdout.write(`${topic(argv[2])}\n`);
  if (argv[0] === 'help') return commandOf(program, argv.slice(1)).outputHelp();
  if (argv.length === 0 && interactive) {
    const {chooseJob} = await import('./menu.ts');
    const words = await chooseJob(io);
    return parse(createProgram(), words, io, colors, true);
  }
  if (argv.length === 0) return program.outputHelp();
  await program.parseAsync(argv, {from: 'user'});
}

/** The command that `help room create` asks about. */
function commandOf(program: Command, words: readonly string[]): Command {
  return words.reduce((command, word) => {
    const found = command.commands.find(each => each.name() === word);
    if (found) return found;
    const names = [...command.commands.map(each => each.name()), ...(command === program ? Object.keys(topics) : [])];
    throw new ChatError('unknown_value', `There is no help on ${words.join(' ')}.`, {hint: suggestion(word, names)});
  }, program);
}

function suggestion(word: string, names: readonly string[]): string {
  if (names.length === 0) return 'There is nothing below it: leave the last word out.';
  return didYouMean(word, names) ?? `There is help on ${names.join(', ')}.`;
}

async function showVersion(argv: readonly string[], io: Io): Promise<boolean> {
  if (!['--version', '-V'].includes(argv.find(arg => arg !== '--json') ?? '')) return false;
  const {version} = await import('../version.ts');
  io.stdout.write(argv.includes('--json') ? `${JSON.stringify({chatctl: version})}\n` : `${version}\n`);
  return true;
}

/** What every command is given. */
interface Surroundings {
  io: Io;
  colors: Colors;
  argv: readonly string[];
  interactive: boolean;
  /** The command itself was picked from the menu. */
  asked: boolean;
}

/** Gives every command our streams, our way to end, and its action. */
function prepare(command: Command, around: Surroundings): void {
  const {io, colors} = around;
  command.exitOverride(error => {
    throw Object.assign(error, {usage: usageOf(command)});
  });
  command.configureOutput({
    writeOut: text => void io.stdout.write(text),
    // Help that nobody asked for, such as that of a noun alone, is still what the person wants to read.
    writeErr: text => void io.stdout.write(text),
    outputError: () => undefined,
    getOutHelpWidth: () => io.stdout.columns || 100,
    getOutHasColors: () => colors.stdout,
    getErrHasColors: () => colors.stderr,
  });
  for (const each of [...command.options, ...command.registeredArguments]) {
    if (each.argChoices) each.argParser(choice(each.argChoices));
  }
  command.configureHelp(helpLayout);
  // Missing arguments are asked for where there is somebody to ask.
  if (around.interactive) Object.assign(command, {missingArgument: () => undefined});
  const declaration = declarationOf(command);
  if (declaration) {
    command.action(async (...all: unknown[]) => {
      const args = all.slice(0, -2);
      const given = command.optsWithGlobals<Globals>();
      mustHonour(command, given, declaration.features);
      if (given.fields) mustBeFields(given.fields, fieldsOf(command));
      mustHideSecrets(command.optsWithGlobals());
      const globals = declaration.features.has('timeout') ? {...timeoutIn(io), ...given} : given;
      const cli = await createCli(io, globals, {colors, createProgram});
      try {
        if (writes(command, declaration.features)) await tellProduction(cli);
        if (declaration.says !== undefined && io.stderr.isTTY) cli.note(declaration.says);
        const action = await declaration.load();
        await thenTell(cli, around, action(cli, ...([...args, command.opts()] as never[])));
      } catch (error) {
        throw pointing(error, command);
      } finally {
        await cli.close();
      }
    });
  }
  for (const child of command.commands) prepare(child, around);
}

/** The flag without which a command that mends only looks. */
function mendingFlag(command: Command) {
  return command.options.find(({long}) => long === '--fix' || long === '--repair');
}

function writes(command: Command, features: ReadonlySet<Feature>): boolean {
  const mending = mendingFlag(command);
  return features.has('dry-run') && (mending === undefined || command.getOptionValue(mending.attributeName()) === true);
}

/** Where nothing better is known for what was given wrongly, what can be given is the next thing to read. */
function pointing(error: unknown, command: Command): unknown {
  if (!(error instanceof ChatError) || error.kind !== 'invalid' || error.hint !== undefined) return error;
  const {code, message, fields} = error;
  return new ChatError(code, message, {fields, cause: error, hint: seeHelp(command)});
}

/** CHATCTL_TIMEOUT, for the commands that wait. */
function timeoutIn({env}: Io): Pick<Globals, 'timeout'> {
  const text = env['CHATCTL_TIMEOUT'];
  if (!text) return {};
  try {
    return {timeout: duration(text)};
  } catch (cause) {
    if (!(cause instanceof InvalidArgumentError)) throw cause;
    throw new ChatError('bad_format', `CHATCTL_TIMEOUT cannot be read. ${cause.message}`, {
      cause,
      hint: 'Correct the variable, or unset it.',
    });
  }
}

/** Whoever writes to production is told so; what is wrong with the settings the command tells itself. */
async function tellProduction(cli: Cli): Promise<void> {
  if (cli.globals.dryRun) return;
  const config = await cli.config().catch(() => undefined);
  if (config?.NODE_ENV !== 'production') return;
  const {parseDatabaseUrl} = await import('../db/connect.ts');
  const word = cli.colors.stderr ? styleText(['bold', 'yellow'], 'PRODUCTION', {validateStream: false}) : 'PRODUCTION';
  cli.note(`${word}: this writes to ${parseDatabaseUrl(config.DATABASE_URL).label}`);
}

/** When the work is done, also where some of it failed: how it is done without questions, and what a rehearsal found. */
async function thenTell(cli: Cli, around: Surroundings, work: Promise<void>): Promise<void> {
  const ended = await work.catch((error: unknown) => {
    if (error instanceof Exit && error.code !== exits.interrupted) return error;
    throw error;
  });
  tellLine(cli, around);
  await tellPlan(cli);
  if (ended) throw ended;
}

/** What was asked for, as the line that would have needed no question. */
function tellLine(cli: Cli, {argv, asked}: Surroundings): void {
  const {args, flags} = cli.ask.answers();
  if (!asked && args.length + flags.length === 0) return;
  const words = flagsOf(argv);
  const behind = argv.slice(words.length + 1);
  cli.note(`The same without questions: ${commandName(cli.io)} ${commandLine(words, [...behind, ...args], flags)}`);
}

async function tellPlan(cli: Cli): Promise<void> {
  const plan = await cli.plan();
  if (!plan) return;
  const {planLines} = await import('./plan.ts');
  for (const line of planLines(plan)) cli.note(visible(line));
}

const featureFlags: Record<Feature, keyof Globals> = {
  'dry-run': 'dryRun',
  yes: 'yes',
  confirm: 'confirm',
  as: 'as',
  timeout: 'timeout',
  fields: 'fields',
  'realtime-url': 'realtimeUrl',
  'api-url': 'apiUrl',
  progress: 'progress',
};

/** A flag that a command would ignore is an error. */
function mustHonour(command: Command, globals: Globals, features: ReadonlySet<Feature>): void {
  for (const [feature, name] of Object.entries(featureFlags) as [Feature, keyof Globals][]) {
    if (globals[name] !== undefined && !features.has(feature)) {
      throw notTaken(command, `--${feature}`);
    }
  }
  if (globals.dryRun && !writes(command, features)) {
    const message = `\`${pathOf(command)}\` only looks without ${mendingFlag(command)?.long}: --dry-run needs that too.`;
    throw new ChatError('invalid_input', message, {hint: seeHelp(command)});
  }
  const {output} = globals;
  if ((output === 'csv' || output === 'id') && !features.has('fields')) throw notTaken(command, `-o ${output}`);
}

function notTaken(command: Command, flag: string): ChatError {
  return new ChatError('unknown_field', `\`${pathOf(command)}\` does not take ${flag}.`, {
    hint: seeHelp(command),
  });
}

function seeHelp(command: Command): string {
  return `See: ${pathOf(command)} --help`;
}

function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();
}

function usageOf(command: Command): string {
  return `Usage: ${pathOf(command)} ${command.usage()}`;
}

function codeOf(error: unknown, argv: readonly string[], io: Io, colors: Colors): number {
  if (error instanceof Exit) return error.code;
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return exits.ok;
    if (error.code === 'commander.help') return exits.ok;
  }
  const what = error instanceof CommanderError ? usageError(error) : told(error);
  const flags = flagsOf(argv);
  const json = flags.includes('--json') || (outputIn(flags) ?? io.env['CHATCTL_OUTPUT']) === 'json';
  tell(io, what, {json, color: colors.stderr});
  if (flags.includes('--debug') && error instanceof Error)
    io.stderr.write(`${withoutValue(hideSecrets(error.stack ?? ''))}\n`);
  return what.exit;
}

/** What may be a flag: behind `--` a word is what it is called. */
function flagsOf(argv: readonly string[]): readonly string[] {
  const dashes = argv.indexOf('--');
  return dashes < 0 ? argv : argv.slice(0, dashes);
}

/** The wish of the flags, read before they are parsed: an error in them has a colour too. */
function colorIn(argv: readonly string[]): ColorWish {
  if (argv.includes('--no-color')) return 'never';
  const at = argv.findIndex(arg => arg === '--color' || arg.startsWith('--color='));
  const wish = at < 0 ? undefined : (argv[at]?.split('=')[1] ?? argv[at + 1]);
  return wish === 'always' || wish === 'never' ? wish : 'auto';
}

/** The format of the flags, which stands above that of the environment, in errors too. */
function outputIn(argv: readonly string[]): string | undefined {
  const at = argv.findIndex(arg => /^(?:-o|--output(?:=|$))/.test(arg));
  if (at < 0) return undefined;
  return /^(?:-o|--output=)(.+)$/.exec(argv[at] ?? '')?.[1] ?? argv[at + 1];
}

function usageError(error: CommanderError) {
  const [first = '', ...rest] = withoutValue(error.message.replace(/^error: /, '')).split('\n');
  const meant = rest.join(' ').replace(/[()]/g, '').trim();
  const usage = 'usage' in error && typeof error.usage === 'string' ? error.usage : 'See --help.';
  const sentence = first.charAt(0).toUpperCase() + first.slice(1);
  return {
    code: error.code.replace(/^commander\./, '').replaceAll(/[A-Z]/g, letter => `_${letter.toLowerCase()}`),
    message: /[.?!]$/.test(sentence) ? sentence : `${sentence}.`,
    hint: [secretAdvice(error.code, first), meant, usage].filter(Boolean).join('\n'),
    exit: exits.usage,
  };
}
