// What a command works with: the streams, the settings, the chat, and how to ask and to tell.
import type {Config, SettingName} from '../config.ts';
import type {Actor, StoredEvent} from '../core/chat.ts';
import {ChatError} from '../core/errors.ts';
import type {OpenChat} from '../open.ts';
import {canAsk, useColor, type ColorWish, type Io} from './io.ts';
import {formats, printer, type Format, type Printer} from './output.ts';
import {prompter, type Prompter} from './prompts.ts';

/** The global flags as commander gives them. */
export interface Globals {
  config?: string;
  db?: string;
  apiUrl?: string;
  realtimeUrl?: string;
  centrifugoApiUrl?: string;
  output?: string;
  json?: boolean;
  fields?: string[];
  quiet?: boolean;
  verbose?: boolean;
  debug?: boolean;
  color?: ColorWish | boolean;
  input?: boolean;
  yes?: boolean;
  confirm?: string;
  dryRun?: boolean;
  as?: string;
  timeout?: number;
  progress?: 'auto' | 'none';
}

export interface ToldEvent extends StoredEvent {
  dryRun: boolean;
}

export interface Cli extends Printer {
  io: Io;
  globals: Globals;
  ask: Prompter;
  /** Who acts: the operator, by the name of CHATCTL_ACTOR. */
  actor: Actor;
  /** The settings; with flags of the command's own they are read anew. */
  config(flags?: Partial<Record<SettingName, string>>): Promise<Config>;
  /** The chat, opened at the first call and closed when the command ends. */
  chat(): Promise<OpenChat>;
  /** The events stored since the last call, or in a rehearsal those that would be. */
  events(): ToldEvent[];
  /** A line for the person, on stderr; --quiet silences it. */
  note(text: string): void;
  /** Whether stderr may have colour. */
  color: boolean;
  close(): Promise<void>;
}

export function createCli(io: Io, globals: Globals): Cli {
  let known: Config | undefined;
  let chat: Promise<OpenChat> | undefined;
  let stored: ToldEvent[] = [];

  async function readConfig(own?: Partial<Record<SettingName, string>>): Promise<Config> {
    if (known && !own) return known;
    const {loadConfig} = await import('../config.ts');
    const file = globals.config ?? io.env['CHATCTL_CONFIG'];
    known = loadConfig({flags: {...flagsOf(globals), ...own}, env: io.env, cwd: io.cwd, file});
    return known;
  }

  function tellTarget(label: string): void {
    const origins = Object.entries(known?.origins ?? {}).filter(([, origin]) => origin !== 'default');
    io.stderr.write(`Database: ${label}\n`);
    for (const [name, origin] of origins) io.stderr.write(`${name} is from: ${origin}\n`);
  }

  async function open(): Promise<OpenChat> {
    const {openChat} = await import('../open.ts');
    const opened = await openChat(await readConfig(), {dryRun: globals.dryRun ?? false});
    if (globals.verbose) tellTarget(opened.db.target.label);
    opened.onEvent = event => stored.push({...event, dryRun: globals.dryRun ?? false});
    return opened;
  }

  return {
    ...printer(io, formatOf(io, globals), globals.fields),
    io,
    globals,
    ask: prompter(io, {
      canAsk: canAsk(io, globals.input === false),
      yes: globals.yes ?? false,
      confirm: globals.confirm,
    }),
    actor: {kind: 'operator', name: io.env['CHATCTL_ACTOR'] ?? 'chatctl'},
    config: readConfig,
    chat: () => (chat ??= open()),
    events() {
      const taken = stored;
      stored = [];
      return taken;
    },
    note(text) {
      if (!globals.quiet) io.stderr.write(`${text}\n`);
    },
    color: useColor(io, io.stderr, colorWish(globals)),
    async close() {
      await (await chat?.catch(() => undefined))?.close();
    },
  };
}

function colorWish({color}: Globals): ColorWish {
  if (color === false) return 'never';
  return typeof color === 'string' ? color : 'auto';
}

function flagsOf({db, centrifugoApiUrl}: Globals): Partial<Record<SettingName, string>> {
  return {
    ...(db !== undefined && {DATABASE_URL: db}),
    ...(centrifugoApiUrl !== undefined && {CENTRIFUGO_API_URL: centrifugoApiUrl}),
  };
}

function formatOf(io: Io, globals: Globals): Format {
  const wanted = globals.json ? 'json' : (globals.output ?? io.env['CHATCTL_OUTPUT']);
  if (wanted === undefined) return io.stdout.isTTY ? 'table' : 'plain';
  const format = formats.find(each => each === wanted);
  if (!format)
    throw new ChatError('invalid_input', `There is no output format ${wanted}.`, {
      hint: `The formats are ${formats.join(', ')}.`,
    });
  return format;
}
