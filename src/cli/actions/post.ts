// Posts messages: into the database as the server itself does, or through the API as the primary service does.
import {setTimeout as delay} from 'node:timers/promises';
import {jwtSecret} from '../../config.ts';
import {ChatError, errorCodes, type ErrorCode} from '../../core/errors.ts';
import type {RoomId} from '../../core/ids.ts';
import {PostMessage} from '../../core/input.ts';
import {eventState} from '../../core/outbox.ts';
import {postMessage as storeMessage} from '../../core/post-queue.ts';
import {addFirst} from '../../core/posting.ts';
import {presentMessage, type MessageJson} from '../../core/present.ts';
import {apiUrlOf} from '../addresses.ts';
import {callApi} from '../../api.ts';
import type {Cli, ToldEvent} from '../context.ts';
import {Exit, exits} from '../exit.ts';
import {interruptOf, type Interrupt} from '../interrupt.ts';
import {readStdin} from '../io.ts';
import {printMessage} from './message.ts';
import {eventJson, forEach, mustAllBeOk, tellEvents, toInput, toAuthor, toRoom} from './parse.ts';

const stdinLimit = 64 * 1_024;
const linesLimit = 16 * 1_048_576;
const waitMs = 10_000;
const lookAgainMs = 50;

interface PostOptions {
  idempotencyKey?: string;
  lines?: boolean;
  count?: number;
  interval?: number;
  via: 'db' | 'api';
  wait?: 'delivered';
}

interface Posted {
  message: MessageJson;
  repeated: boolean;
  event: ToldEvent | undefined;
}

type Post = (content: string, clientId?: string) => Promise<Posted>;

export async function postMessage(
  cli: Cli,
  reference: string | undefined,
  text: string | undefined,
  options: PostOptions,
): Promise<void> {
  mustFit(cli, options);
  const room = await toRoom(cli, reference);
  const author = cli.globals.as === undefined ? undefined : await toAuthor(cli, cli.globals.as);
  // The API does the same as the database is told here: a rehearsal shows it without a request.
  const byRequest = options.via === 'api' && !cli.globals.dryRun;
  const post = byRequest ? await throughApi(cli, room.id, author) : intoDatabase(cli, room.id, author);
  if (options.lines) return postMany(cli, await linesOf(cli, text, options), post, options);
  const content = await toContent(cli, text);
  if (options.count !== undefined) return postMany(cli, repeated(content, options.count), post, options);
  const interrupt = options.wait && interruptOf(cli.io);
  try {
    const posted = await post(content, options.idempotencyKey);
    if (posted.event) tellEvents(cli, [posted.event]);
    if (posted.repeated) cli.note('This key was posted before; here is the first message.');
    const told = eventOf(posted, options);
    const sent = [{event: posted.event, told}];
    if (interrupt) await awaitDelivery(cli, sent, interrupt);
    printMessage(cli, posted.message, {event: told});
    if (interrupt?.asked()) interrupt.exit();
    if (interrupt) mustBeDelivered(cli, sent);
  } finally {
    interrupt?.release();
  }
}

function mustFit(cli: Cli, options: PostOptions): void {
  const refuse = (message: string): never => {
    throw new ChatError('invalid_input', message);
  };
  if (options.interval !== undefined && options.count === undefined) refuse('--interval goes with --count.');
  if (options.count !== undefined && (options.lines || options.idempotencyKey !== undefined))
    refuse('--count goes neither with --lines nor with --idempotency-key.');
  if (options.via === 'api' && options.wait) refuse('--wait looks into the outbox, and goes with --via db.');
  if (options.via === 'db' && cli.globals.apiUrl !== undefined) refuse('--api-url goes with --via api.');
  if (options.wait && cli.globals.dryRun) refuse('A rehearsal delivers nothing to wait for.');
}

function intoDatabase(cli: Cli, room: RoomId, user_id: string | undefined): Post {
  return async (content, client_id) => {
    const input = toInput(PostMessage, {content, client_id, user_id});
    cli.sameAs({method: 'POST', path: `/api/rooms/${room}/messages/`, body: input});
    const {message, repeated: again} = await storeMessage(await cli.chat(), cli.actor, room, input);
    return {message: presentMessage(message), repeated: again, event: cli.events()[0]};
  };
}

/** With a service token of a minute, made anew for each post. */
async function throughApi(cli: Cli, room: RoomId, user_id: string | undefined): Promise<Post> {
  const [base, config, {mintApiToken}] = [
    await apiUrlOf(cli),
    await cli.config(),
    await import('../../core/tokens.ts'),
  ];
  const claims = {sub: 'chatctl', scope: config.JWT_SERVICE_SCOPE};
  return async (content, client_id) => {
    const {token} = mintApiToken(jwtSecret(config), claims, 60, Math.floor(Date.now() / 1_000));
    const body = toInput(PostMessage, {content, client_id, user_id});
    const {status, body: answer} = await callApi(base, 'POST', `/api/rooms/${room}/messages/`, {token, body});
    if (status === 200 || status === 201)
      return {message: answer as unknown as MessageJson, repeated: status === 200, event: undefined};
    throw refusal(base, status, answer, {room, user: user_id});
  };
}

/** The API's own code, so that a refusal ends as it would have by --via db. */
function refusal(
  base: string,
  status: number,
  {code, detail}: Record<string, unknown>,
  {room, user}: {room: RoomId; user: string | undefined},
): ChatError {
  const codes = Object.keys(errorCodes) as ErrorCode[];
  const known = codes.find(each => each === code) ?? 'server_unreachable';
  const said = typeof detail === 'string' ? detail : 'no reason was given';
  const hints: Partial<Record<ErrorCode, string>> = {
    invalid_token:
      'Is JWT_SECRET here the one that the server has? Try it: chatctl token service | chatctl token verify --live',
    ...(user !== undefined && {not_a_member: addFirst(room, user)}),
  };
  const hint = hints[known] ?? 'Its log says more. See also: chatctl doctor';
  return new ChatError(known, `The API at ${base} answered ${status}: ${said}`, {hint});
}

function eventOf({event, repeated: again}: Posted, {via}: PostOptions): object {
  return via === 'api' && !event && !again ? {type: 'message_added', mode: 'api', state: 'queued'} : eventJson(event);
}

interface Line {
  line: number;
  content: string;
}

function repeated(content: string, count: number): Line[] {
  return Array.from({length: count}, (_, i) => ({line: i + 1, content: content.replaceAll('{n}', String(i + 1))}));
}

async function linesOf(cli: Cli, text: string | undefined, {idempotencyKey}: PostOptions): Promise<Line[]> {
  if ((text !== undefined && text !== '-') || idempotencyKey !== undefined) {
    throw new ChatError(
      'invalid_input',
      '--lines reads standard input, and takes neither [text] nor --idempotency-key.',
    );
  }
  const input = await readStdin(cli.io, linesLimit);
  if (input === undefined) throw new ChatError('too_large', 'Standard input holds more than 16 MB; send it in parts.');
  return input.split(/\r?\n/).flatMap((content, i) => (content.trim() === '' ? [] : [{line: i + 1, content}]));
}

/** Each is a message of its own: one that is refused does not hold up the others. */
async function postMany(cli: Cli, lines: readonly Line[], post: Post, options: PostOptions): Promise<void> {
  const {createProgress} = await import('../progress.ts');
  const progress = await createProgress(cli, {label: 'Posting', total: lines.length});
  const interrupt = interruptOf(cli.io);
  const sent: Sent[] = [];
  let tried = 0;
  const mayGoOn = async () => {
    if (tried++ > 0 && options.interval !== undefined) await pause(options.interval, interrupt);
    return !interrupt.asked();
  };
  try {
    const results = await forEach(
      cli,
      lines,
      ({line}) => ({line}),
      async ({content}) => {
        const posted = await post(content);
        const event = eventOf(posted, options);
        sent.push({event: posted.event, told: event});
        progress.add(1);
        return {message: posted.message, event};
      },
      mayGoOn,
    ).finally(progress.done);
    if (options.wait) await awaitDelivery(cli, sent, interrupt);
    cli.print({
      items: results,
      columns: ['line', 'ok', 'message.id', 'error.message'],
      id: 'message.id',
      json: each => ({results: each}),
    });
    if (interrupt.asked()) {
      cli.note(`Stopped: ${sent.length} of ${lines.length} were ${cli.globals.dryRun ? 'rehearsed' : 'posted'}.`);
      interrupt.exit();
    }
    if (options.wait) mustBeDelivered(cli, sent);
    mustAllBeOk(results);
  } finally {
    interrupt.release();
  }
}

/** An interrupt ends it. */
async function pause(ms: number, interrupt: Interrupt): Promise<void> {
  if (interrupt.asked()) return;
  const over = new AbortController();
  await interrupt.orAsked(delay(ms, undefined, {signal: over.signal}).catch(() => undefined));
  over.abort();
}

interface Sent {
  event: ToldEvent | undefined;
  /** Its event as it is printed. */
  told: {state?: string};
}

/** Until the broker has them all, or refused them, or the time is over, or the end is asked for; it stands in their state. */
async function awaitDelivery(cli: Cli, sent: readonly Sent[], interrupt: Interrupt): Promise<void> {
  const chat = await cli.chat();
  const deadline = performance.now() + (cli.globals.timeout ?? waitMs);
  for (const {event, told} of sent) {
    if (!event || interrupt.asked()) continue;
    for (;;) {
      const state = await eventState(chat, cli.actor, event.outboxId);
      if (state !== 'waiting') told.state = state;
      if (state !== 'waiting' || interrupt.asked() || performance.now() > deadline) break;
      await pause(lookAgainMs, interrupt);
    }
  }
}

/** Called after they were printed. Throws broker_refused, and ends with 9 when one is still waiting. */
function mustBeDelivered(cli: Cli, sent: readonly Sent[]): void {
  const inState = (state: string) => sent.find(({event, told}) => event && told.state === state)?.event?.outboxId;
  const parked = inState('parked');
  if (parked !== undefined) {
    throw new ChatError('broker_refused', `The broker refused event ${parked}.`, {
      hint: 'See why with: chatctl outbox list --parked',
    });
  }
  const waiting = inState('queued');
  if (waiting === undefined) return;
  cli.note(`Event ${waiting} still waits. Is a server running? See: chatctl status`);
  throw new Exit(exits.timeout);
}

async function toContent(cli: Cli, text: string | undefined): Promise<string> {
  const piped = text === '-' || (text === undefined && !cli.io.stdin.isTTY && !cli.ask.canAsk);
  if (!piped) return cli.ask.text(text, '[text]', 'Message?');
  const content = await readStdin(cli.io, stdinLimit);
  if (content === undefined)
    throw new ChatError('too_long', 'Standard input holds more than a message can: 10,000 characters.');
  if (content.trim() === '') throw new ChatError('input_required', 'Missing [text], and standard input is empty.');
  return content;
}
