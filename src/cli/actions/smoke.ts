// Walks through the whole chat against a running server and says what does not hold.
import {randomBytes} from 'node:crypto';
import {jwtSecret} from '../../config.ts';
import {ChatError} from '../../core/errors.ts';
import {mintApiToken} from '../../core/tokens.ts';
import {apiUrlOf, realtimeUrlOf} from '../addresses.ts';
import {callApi} from '../../api.ts';
import type {Cli} from '../context.ts';
import {told} from '../errors.ts';
import {Exit, exits} from '../exit.ts';
import {StepFailure} from '../smoke/failure.ts';
import {createPerson} from '../smoke/person.ts';
import {steps, type Step, type World} from '../smoke/steps.ts';
import {inCell} from '../text.ts';
import {toUser} from './parse.ts';

interface SmokeOptions {
  only?: string[];
  keep?: boolean;
  list?: boolean;
}

interface StepResult {
  id: string;
  /** Null for a step that did not run. */
  ok: boolean | null;
  ms: number;
  error: string | null;
}

/** How long the whole walk may take. */
const defaultLimitMs = 60_000;

export async function smoke(cli: Cli, options: SmokeOptions): Promise<void> {
  const wanted = wantedSteps(options);
  if (options.list) return listSteps(cli, wanted);
  const world = await createWorld(cli);
  const interrupt = interruption(cli);
  const results: StepResult[] = [];
  let code: number = exits.ok;
  try {
    for (const step of wanted) {
      const blocked = !step.needs.every(need => results.some(({id, ok}) => id === need && ok));
      const {result, exit} = blocked ? skipped(step) : await runStep(step, world, interrupt.raised);
      if (code === exits.ok) code = exit;
      results.push(result);
      tellStep(cli, result);
    }
  } finally {
    interrupt.end();
    for (const person of [world.alice, world.bob]) person.close();
  }
  tellEnd(cli, results);
  if (options.keep && world.roomId !== undefined) cli.note(`Kept: room ${world.roomId} "${world.roomName}".`);
  if (code !== exits.ok) throw new Exit(code);
}

/** The steps asked for with those they need; cleaning up is always asked for unless `--keep`. */
function wantedSteps({only, keep}: SmokeOptions): Step[] {
  const known = steps.map(step => step.id);
  const wrong = only?.find(id => !known.includes(id));
  if (wrong !== undefined) {
    throw new ChatError('unknown_value', `There is no step ${wrong}.`, {hint: `The steps are ${known.join(', ')}.`});
  }
  const wanted = new Set(only ?? known);
  for (const step of steps.toReversed()) if (wanted.has(step.id)) for (const need of step.needs) wanted.add(need);
  if (wanted.has('room')) wanted.add('clean');
  if (keep) wanted.delete('clean');
  return steps.filter(step => wanted.has(step.id));
}

function listSteps(cli: Cli, wanted: readonly Step[]): void {
  const items = wanted.map(({id, about, needs}) => ({id, about, needs}));
  cli.print({items, columns: ['id', 'about'], id: 'id', json: each => ({steps: each})});
}

async function createWorld(cli: Cli): Promise<World> {
  const config = await cli.config();
  const apiUrl = await apiUrlOf(cli);
  const mark = randomBytes(4).toString('hex');
  const secret = jwtSecret(config);
  const more = {
    ...(config.JWT_ISSUER === undefined ? {} : {iss: config.JWT_ISSUER}),
    ...(config.JWT_AUDIENCE === undefined ? {} : {aud: config.JWT_AUDIENCE}),
  };
  const mint = (sub: string, claims: object = {}, key = secret) =>
    mintApiToken(key, {sub, ...more, ...claims}, 600, Math.floor(Date.now() / 1_000)).token;
  const person = (name: string) => {
    const id = toUser(`smoke-${mark}-${name}`);
    return createPerson(apiUrl, id, () => mint(id));
  };
  const serviceToken = mint('chatctl', {scope: config.JWT_SERVICE_SCOPE});
  return {
    apiUrl,
    realtimeUrl: await realtimeUrlOf(cli),
    alice: person('alice'),
    bob: person('bob'),
    outsider: person('outsider'),
    service: (method, path, body) => callApi(apiUrl, method, path, {token: serviceToken, ...(body ? {body} : {})}),
    forgedToken: mint('mallory', {}, randomBytes(32).toString('hex')),
    roomName: `smoke ${mark}`,
    version: 0,
  };
}

interface Interruption {
  raised: Promise<never>;
  end(): void;
}

/** Ctrl-C, SIGTERM or the end of the time; the step under way then fails, and cleaning up is still tried. */
function interruption(cli: Cli): Interruption {
  let raise: (error: Error) => void = () => undefined;
  const raised = new Promise<never>((_, reject) => {
    raise = reject;
  });
  raised.catch(() => undefined);
  const limit = cli.globals.timeout ?? defaultLimitMs;
  const late = () => raise(new StepFailure('timeout', `The walk took longer than ${limit / 1_000} s.`));
  const timer = setTimeout(late, limit);
  const offs = [
    cli.io.onSignal('SIGINT', () => raise(new Exit(exits.interrupted))),
    cli.io.onSignal('SIGTERM', () => raise(new Exit(exits.terminated))),
  ];
  return {
    raised,
    end() {
      clearTimeout(timer);
      for (const off of offs) off();
    },
  };
}

async function runStep(step: Step, world: World, raised: Promise<never>): Promise<{result: StepResult; exit: number}> {
  const started = performance.now();
  const ms = () => Math.round(performance.now() - started);
  try {
    const work = step.run(world);
    await (step.id === 'clean' ? work : Promise.race([work, raised]));
    return {result: {id: step.id, ok: true, ms: ms(), error: null}, exit: exits.ok};
  } catch (error) {
    return {result: {id: step.id, ok: false, ms: ms(), error: messageOf(error)}, exit: exitOf(error)};
  }
}

function messageOf(error: unknown): string {
  if (error instanceof Exit) return 'Interrupted.';
  return error instanceof Error ? error.message : String(error);
}

/** A refusal by the server is a failed check; only when nobody answers was nothing checked. */
function exitOf(error: unknown): number {
  if (error instanceof Exit) return error.code;
  if (error instanceof StepFailure) return error.kind === 'timeout' ? exits.timeout : exits.checkFailed;
  const {exit} = told(error);
  return exit === exits.unreachable ? exit : exits.checkFailed;
}

function skipped(step: Step): {result: StepResult; exit: number} {
  return {result: {id: step.id, ok: null, ms: 0, error: null}, exit: exits.ok};
}

function tellStep(cli: Cli, result: StepResult): void {
  if (cli.format === 'ndjson') cli.line({type: 'step', ...result});
  if (cli.format === 'json' || cli.format === 'ndjson') return;
  const word = result.ok === null ? 'skip' : result.ok ? 'ok' : 'fail';
  const about = steps.find(step => step.id === result.id)?.about ?? '';
  const parts = [word.padEnd(4), result.id.padEnd(8), `${result.ms} ms`.padStart(8), result.error ?? about];
  cli.io.stdout.write(`${parts.map(inCell).join('  ')}\n`);
}

function tellEnd(cli: Cli, results: readonly StepResult[]): void {
  const count = (ok: boolean | null) => results.filter(result => result.ok === ok).length;
  const counts = {passed: count(true), failed: count(false), skipped: count(null)};
  const ok = counts.failed === 0;
  if (cli.format === 'json') return cli.line({ok, ...counts, steps: results});
  if (cli.format === 'ndjson') return cli.line({type: 'end', ok, ...counts});
  cli.io.stdout.write(
    `${ok ? 'ok' : 'failed'}: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`,
  );
}
