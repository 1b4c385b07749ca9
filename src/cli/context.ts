// What a command works with: the streams, the settings, the chat, and how to ask and to tell.
import type {Command} from 'commander';
import type {Config} from '../config.ts';
import type {SettingName} from '../settings.ts';
import type {Actor, Chat, StoredEvent} from '../core/chat.ts';
import {ChatError} from '../core/errors.ts';
import type {OpenChat} from '../open.ts';
import {canAsk, type Colors, type ColorWish, type Io} from './io.ts';
import {formats, printer, type Format, type Printer} from './output.ts';
import type {ApiRequest, Plan} from './plan.ts';
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
  /** Who acts: the operator, by the name of CHATCTL_ACTOR or of the system's user. */
  actor: Actor;
  /** The settings; with flags of the command's own they are read anew. */
  config(flags?: Partial<Record<SettingName, string>>): Promise<Config>;
  /** The chat, opened at the first call and closed when the command ends. */
  chat(): Promise<OpenChat>;
  /** The events stored since the last call, or in a rehearsal those that would be. */
  events(): ToldEvent[];
  /** A line for the person, on stderr; --quiet silences it. */
  note(text: string): void;
  /** A tree of all commands, to tell of; handed in, because the tree loads what is told here. */
  createProgram: () => Command;
  /** Which streams may have colour. */
  colors: Colors;
  /** Tells how the API would be asked for what this command does, for the plan of a rehearsal. */
  sameAs(request: ApiRequest): void;
  /** In a rehearsal, what would have been done. */
  plan(): Promise<Plan | undefined>;
  /** What a change would do, tried and taken back, in lines for the question before it. */
  foresee(requests: readonly ApiRequest[], change: (chat: Chat) => Promise<unknown>): Promise<string[]>;
  close(): Promise<void>;
}

export async function createCli(
  io: Io,
  globals: Globals,
  {colors, createProgram}: Pick<Cli, 'colors' | 'createProgram'>,
): Promise<Cli> {
  let known: Config | undefined;
  let chat: Promise<OpenChat> | undefined;
  let stored: ToldEvent[] = [];
  let rehearsal: Rehearsal | undefined;
  const requests: ApiRequest[] = [];

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
    opened.onEvent = event => {
      stored.push({...event, dryRun: globals.dryRun ?? false});
      rehearsal?.add(event);
    };
    if (globals.dryRun) rehearsal = await rehearse(opened, requests);
    return opened;
  }

  async function rehearse(opened: Chat, asked: readonly ApiRequest[]): Promise<Rehearsal> {
    const [{targetOf}, {apiUrlOf}, {planOf, plannedEvent}] = await Promise.all([
      import('./target.ts'),
      import('./addresses.ts'),
      import('./plan.ts'),
    ]);
    const target = await targetOf(opened, cli.actor);
    const apiUrl = await apiUrlOf(cli);
    const events: Plan['events'] = [];
    return {
      add: event => void events.push(plannedEvent(event)),
      plan: () => planOf(target, opened.db.rehearsed, events, asked, apiUrl),
    };
  }

  async function foresee(asked: readonly ApiRequest[], change: (chat: Chat) => Promise<unknown>): Promise<string[]> {
    const opened = await cli.chat();
    const tried: Chat = {...opened, db: {...opened.db, dryRun: true, rehearsed: {}}};
    const {add, plan} = await rehearse(tried, asked);
    tried.onEvent = add;
    await change(tried);
    const {changeLines} = await import('./plan.ts');
    return changeLines(plan());
  }

  /** The database as a person should see it before a severe change; where its schema is not ours, its address. */
  async function tellTargetOf(): Promise<string> {
    const {fingerprint, targetOf} = await import('./target.ts');
    const {parseDatabaseUrl} = await import('../db/connect.ts');
    try {
      return fingerprint(await targetOf(await cli.chat(), cli.actor));
    } catch {
      return parseDatabaseUrl((await readConfig()).DATABASE_URL).label;
    }
  }

  const out = await printer(io, formatOf(io, globals), globals.fields);
  const cli: Cli = {
    ...out,
    print(result) {
      if (!rehearsal || out.format !== 'json') return out.print(result);
      const {plan} = rehearsal;
      out.print({...result, json: items => ({...result.json(items), dry_run: plan()})});
    },
    io,
    globals,
    ask: prompter(io, {
      canAsk: canAsk(io, globals.input === false),
      yes: globals.yes ?? false,
      confirm: globals.confirm,
      target: tellTargetOf,
    }),
    actor: {kind: 'operator', name: operatorName(io)},
    config: readConfig,
    chat: () =>
      (chat ??= open().catch((error: unknown) => {
        // What could not be opened may be mended meanwhile.
        chat = undefined;
        throw error;
      })),
    events() {
      const taken = stored;
      stored = [];
      return taken;
    },
    note(text) {
      if (!globals.quiet) io.stderr.write(`${text}\n`);
    },
    colors,
    createProgram,
    sameAs: request => void requests.push(request),
    foresee,
    plan: async () => (await chat?.catch(() => undefined)) && rehearsal?.plan(),
    async close() {
      await (await chat?.catch(() => undefined))?.close();
    },
  };
  return cli;
}

/** What the environment says; it is a name for the log and proves nothing. */
function operatorName({env}: Io): string {
  const names = [env['CHATCTL_ACTOR'], env['SUDO_USER'], env['USER'], env['LOGNAME']];
  return names.find(name => name?.trim()) ?? 'chatctl';
}

interface Rehearsal {
  add(event: StoredEvent): void;
  plan(): Plan;
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
