// `chatctl __complete <words…> <begun>`: what may stand in place of the last word. It is called at every press of the
// tab key, so that nothing is loaded but what the answer needs, and any failure is an empty answer.
//
// `chatctl __complete-line <line>` is the same for a shell that has no better words than the line itself.
import type {Command, Option} from 'commander';
import {fieldsWithFlags} from './command.ts';
import {fieldNames} from './fields.ts';
import type {Io} from './io.ts';
import {topics} from './topics.ts';

type Wanted = {kind: 'words'; words: readonly string[]} | {kind: 'rooms' | 'users'; begun: string};

export async function complete(program: Command, typed: readonly string[], io: Io): Promise<void> {
  try {
    const words = withValueApart(typed);
    const wanted = wantedAt(program, words);
    const begun = words.at(-1) ?? '';
    const found =
      wanted.kind === 'words' ? wanted.words.filter(word => word.startsWith(begun)) : await named(wanted, words, io);
    for (const each of found) io.stdout.write(`${each}\n`);
  } catch {
    // A person is typing: there is no place to say what is wrong.
  }
}

export function completeLine(program: Command, line: string, io: Io): Promise<void> {
  const [, ...words] = wordsOf(line);
  return complete(program, words, io);
}

/** The words of a line as a shell means them; of quotes that are still open the last word is made, too. */
function wordsOf(line: string): string[] {
  const words = [''];
  const parts = line.matchAll(/(\s+)|'([^']*)'?|"((?:\\.|[^"\\])*)"?|\\(.)|([^\s'"\\]+)/gsu);
  for (const [, space, single, double, escaped, bare] of parts) {
    if (space !== undefined) words.push('');
    const text = single ?? double?.replaceAll(/\\(["\\$`])/g, '$1') ?? escaped ?? bare ?? '';
    words.push(`${words.pop() ?? ''}${text}`);
  }
  return words;
}

/** `--flag=val` as the two words that it stands for. */
function withValueApart(words: readonly string[]): readonly string[] {
  const [, flag, value] = /^(--[^=]+)=(.*)$/su.exec(words.at(-1) ?? '') ?? [];
  return flag === undefined || value === undefined ? words : [...words.slice(0, -1), flag, value];
}

function wantedAt(program: Command, words: readonly string[]): Wanted {
  const begun = words.at(-1) ?? '';
  const {command, place, option} = walk(program, words.slice(0, -1));
  if (option?.long === '--fields') return {kind: 'words', words: withNextField(command, words)};
  if (option) return ofValue(option.flags, option.argChoices ?? listedIn(option, begun), begun);
  if (begun.startsWith('-')) {
    const flags = [...command.options, ...(command === program ? [] : program.options)].map(each => each.long ?? '');
    return {kind: 'words', words: [...flags, '--help']};
  }
  const argument = command.registeredArguments[Math.min(place, command.registeredArguments.length - 1)];
  if (argument && (place < command.registeredArguments.length || argument.variadic)) {
    return ofValue(argument.name(), argument.argChoices, begun);
  }
  const more = command === program ? ['help'] : [];
  return {kind: 'words', words: [...command.commands.map(each => each.name()), ...more]};
}

/** What was said of a list of fields, with each that may come next. */
function withNextField(command: Command, words: readonly string[]): string[] {
  const begun = words.at(-1) ?? '';
  const said = begun.slice(0, begun.lastIndexOf(',') + 1);
  const flags = words.map(word => word.split('=', 1)[0] ?? '');
  return fieldNames(fieldsWithFlags(command, flags)).map(field => `${said}${field}`);
}

/** Goes along the words: in which command they end, at which of its arguments, and whose value comes next. */
function walk(program: Command, words: readonly string[]): {command: Command; place: number; option?: Option} {
  let command = program;
  let place = 0;
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    if (word.startsWith('-')) {
      const option = [...command.options, ...program.options].find(each => each.long === word || each.short === word);
      if (!option?.required) continue;
      at += 1;
      if (at === words.length) return {command, place, option};
      continue;
    }
    const child = command.commands.find(each => each.name() === word);
    if (child) command = child;
    else if (command === program && word === 'help') return {command: helpOf(program), place: 0};
    else place += 1;
  }
  return {command, place};
}

/** `help` takes a command or a topic. */
function helpOf(program: Command): Command {
  const help = program.createCommand('help');
  for (const each of [...program.commands.map(command => command.name()), ...Object.keys(topics)]) help.command(each);
  return help;
}

/** By the word that stands for the value: `<room>`, `<user>`, `[users...]`. */
function ofValue(name: string, choices: readonly string[] | undefined, begun: string): Wanted {
  if (choices) return {kind: 'words', words: choices};
  if (/\broom\b/.test(name)) return {kind: 'rooms', begun};
  if (/\busers?\b/.test(name)) return {kind: 'users', begun};
  return {kind: 'words', words: []};
}

async function named(wanted: Wanted & {kind: 'rooms' | 'users'}, words: readonly string[], io: Io): Promise<string[]> {
  const [{loadConfig}, {listNames}] = await Promise.all([import('../config.ts'), import('../db/names.ts')]);
  const db = valueOf(words, '--db');
  const file = valueOf(words, '--config') ?? io.env['CHATCTL_CONFIG'];
  const config = loadConfig({flags: db === undefined ? {} : {DATABASE_URL: db}, env: io.env, cwd: io.cwd, file});
  return listNames(config.DATABASE_URL, config.SQLITE_DRIVER, wanted.kind, wanted.begun);
}

/** A flag that takes some of a few words tells which, as `of node, files, config`; those behind the last comma are left. */
function listedIn({description}: Option, begun: string): string[] | undefined {
  const words = /^of ([\w-]+(?:, [\w-]+)+)$/.exec(description)?.[1]?.split(', ');
  const taken = begun.split(',').slice(0, -1);
  return words?.filter(word => !taken.includes(word)).map(word => [...taken, word].join(','));
}

function valueOf(words: readonly string[], flag: string): string | undefined {
  const at = words.indexOf(flag);
  if (at >= 0) return words[at + 1];
  return words.find(each => each.startsWith(`${flag}=`))?.slice(flag.length + 1);
}
