// Walks through the whole chat, or through a scenario of one's own, and says what does not hold.
import {resolve} from 'node:path';
import {ChatError} from '../../core/errors.ts';
import {apiUrlOf} from '../addresses.ts';
import type {Cli} from '../context.ts';
import {told} from '../errors.ts';
import {Exit, exits} from '../exit.ts';
import {isJson} from '../output.ts';
import {StepFailure} from '../smoke/failure.ts';
import {playOf} from '../smoke/play.ts';
import {documentOf, prepareReports, writeReports, type Report} from '../smoke/reports/write.ts';
import {readScenario} from '../smoke/scenario.ts';
import type {OpenStage} from '../smoke/stage.ts';
import type {Run, Step, StepResult} from '../smoke/step.ts';
import {walk} from '../smoke/walk.ts';
import {inCell, tabbed} from '../text.ts';

interface SmokeOptions {
  only?: string[];
  keep?: boolean;
  list?: boolean;
  spawn?: boolean;
  report?: Report[];
}

/** How long the whole walk may take. */
const defaultLimitMs = 60_000;

export async function smoke(cli: Cli, file: string | undefined, options: SmokeOptions): Promise<void> {
  const {name, steps} = await stepsOf(cli, file);
  const wanted = wantedSteps(steps, options);
  if (options.list) return listSteps(cli, steps, wanted);
  const reports = options.report ?? [];
  // Its lines then go to stderr.
  const aside = prepareReports(cli, reports);
  const interrupt = interruption(cli);
  try {
    const run = await runAll(cli, name, wanted, {aside, spawn: options.spawn ?? false, interruption: interrupt});
    writeReports(cli, reports, run);
    tellEnd(cli, run, aside);
    if (options.keep) cli.note(`Kept what it made, under the names of this run.`);
    if (run.exitCode !== exits.ok) throw new Exit(run.exitCode);
  } finally {
    interrupt.end();
  }
}

async function stepsOf(cli: Cli, file: string | undefined): Promise<{name: string; steps: Step[]}> {
  if (file === undefined) return {name: 'smoke', steps: walk()};
  const scenario = await readScenario(resolve(cli.io.cwd, file));
  return {name: scenario.name, steps: playOf(scenario)};
}

/** The steps asked for with those they need; cleaning up is always asked for unless `--keep`. */
function wantedSteps(steps: readonly Step[], {only, keep}: SmokeOptions): Step[] {
  const known = steps.map(step => step.id);
  const wanted = new Set(only?.map(word => stepMeant(known, word)) ?? known);
  for (const step of steps.toReversed()) if (wanted.has(step.id)) for (const need of step.needs) wanted.add(need);
  for (const {id, always, needs} of steps) {
    if (always && needs.every(need => wanted.has(need))) wanted.add(id);
    if (always && keep) wanted.delete(id);
  }
  return steps.filter(step => wanted.has(step.id));
}

/** By its id, or by its number in the list. */
function stepMeant(known: readonly string[], word: string): string {
  const id = known.includes(word) || !/^\d+$/.test(word) ? word : known[Number(word) - 1];
  if (id !== undefined && known.includes(id)) return id;
  throw new ChatError('unknown_value', `There is no step ${word}.`, {
    hint: `The steps are ${known.join(', ')}; they have numbers too, from 1 to ${known.length}.`,
  });
}

function listSteps(cli: Cli, steps: readonly Step[], wanted: readonly Step[]): void {
  const items = wanted.map(step => {
    const {id, about, needs} = step;
    return {number: steps.indexOf(step) + 1, id, about, needs};
  });
  cli.print({items, columns: ['number', 'id', 'about'], id: 'id', json: each => ({steps: each})});
}

interface Interruption {
  raised: Promise<never>;
  /** What raised it, once something did. */
  error(): Error | undefined;
  end(): void;
}

/** Ctrl-C, SIGTERM or the end of the time; the step under way then fails, and cleaning up is still tried. */
function interruption(cli: Cli): Interruption {
  let raisedBy: Error | undefined;
  let reject: (error: Error) => void = () => undefined;
  const raised = new Promise<never>((_, refuse) => {
    reject = refuse;
  });
  raised.catch(() => undefined);
  const raise = (error: Error) => {
    raisedBy ??= error;
    reject(error);
  };
  const limit = cli.globals.timeout ?? defaultLimitMs;
  const late = () => raise(new StepFailure('timeout', `The walk took longer than ${limit / 1_000} s.`));
  const timer = setTimeout(late, limit);
  const offs = [
    cli.io.onSignal('SIGINT', () => raise(new Exit(exits.interrupted))),
    cli.io.onSignal('SIGTERM', () => raise(new Exit(exits.terminated))),
  ];
  return {
    raised,
    error: () => raisedBy,
    end() {
      clearTimeout(timer);
      for (const off of offs) off();
    },
  };
}

interface How {
  aside: boolean;
  spawn: boolean;
  interruption: Interruption;
}

async function runAll(cli: Cli, name: string, steps: readonly Step[], how: How): Promise<Run> {
  const startedAt = new Date();
  const started = performance.now();
  // What runs it takes longer to load than the steps take to list, and then it waits for the server.
  cli.note(how.spawn ? 'Starting a server for it …' : `Asking ${await apiUrlOf(cli)} …`);
  const [{createStage}, {targetOf}] = await Promise.all([import('../smoke/stage.ts'), import('../smoke/target.ts')]);
  const target = await targetOf(cli, how.spawn);
  try {
    const stage = createStage(target, cli.io);
    try {
      const results = await runSteps(cli, steps, stage, how);
      const ended = how.interruption.error();
      const first = results.find(({exit_code}) => exit_code !== exits.ok)?.exit_code ?? exits.ok;
      const exitCode = ended instanceof Exit ? ended.code : first;
      return {name, startedAt, ms: performance.now() - started, results, exitCode};
    } finally {
      stage.close();
    }
  } finally {
    await target.close();
  }
}

async function runSteps(cli: Cli, steps: readonly Step[], stage: OpenStage, how: How): Promise<StepResult[]> {
  const results: StepResult[] = [];
  for (const step of steps) {
    const blocked = !step.needs.every(need => results.some(({id, ok}) => id === need && ok));
    const over = step.always ? undefined : how.interruption.error();
    const isTold = results.some(({ok}) => ok === false);
    if (over && !isTold) results.push(failureOf(step, 0, over));
    else if (over || blocked) results.push(resultOf(step, {ok: null}));
    else results.push(await runStep(step, stage, how.interruption.raised));
    const result = results.at(-1);
    if (result) tellStep(cli, result, how.aside);
  }
  return results;
}

async function runStep(step: Step, stage: OpenStage, raised: Promise<never>): Promise<StepResult> {
  const started = performance.now();
  const ms = () => Math.round(performance.now() - started);
  try {
    const work = step.run(stage);
    // When the other side of the race is lost, nobody looks at it any more.
    work.catch(() => undefined);
    await (step.always ? work : Promise.race([raised, work]));
    return resultOf(step, {ok: true, ms: ms()});
  } catch (error) {
    return failureOf(step, ms(), error);
  }
}

function failureOf(step: Step, ms: number, error: unknown): StepResult {
  return resultOf(step, {ok: false, ms, error: messageOf(error), exit_code: exitOf(error)});
}

function resultOf(step: Step, {ok, ms = 0, error = null, exit_code = exits.ok}: Outcome): StepResult {
  return {id: step.id, about: step.about, ok, ms, error, exit_code};
}

type Outcome = Partial<StepResult> & Pick<StepResult, 'ok'>;

function messageOf(error: unknown): string {
  if (error instanceof Exit) return 'Interrupted.';
  return error instanceof Error ? error.message : String(error);
}

/** A refusal by the server is a failed check; only when nobody answers was nothing checked. */
function exitOf(error: unknown): number {
  if (error instanceof Exit) return error.code;
  if (error instanceof StepFailure) return error.kind === 'timeout' ? exits.timeout : exits.checkFailed;
  if (error instanceof Error && 'code' in error && error.code === 'ERR_ASSERTION') return exits.checkFailed;
  const {exit} = told(error);
  return exit === exits.unreachable || exit === exits.usage || exit === exits.failure ? exit : exits.checkFailed;
}

function tellStep(cli: Cli, result: StepResult, aside: boolean): void {
  if (cli.format === 'ndjson') cli.line({type: 'step', ...result});
  if (isJson(cli.format)) return;
  const word = result.ok === null ? 'skip' : result.ok ? 'ok' : 'fail';
  const what = result.error ?? result.about;
  // What stands on stderr beside a report is for people, whatever stdout is.
  if (cli.format === 'plain' && !aside) return tell(cli, tabbed([word, result.id, String(result.ms), what]), false);
  const parts = [word.padEnd(4), result.id.padEnd(8), `${result.ms} ms`.padStart(8), what];
  tell(cli, parts.map(inCell).join('  '), aside);
}

function tell(cli: Cli, line: string, aside: boolean): void {
  if (aside) cli.note(line);
  else cli.io.stdout.write(`${line}\n`);
}

function tellEnd(cli: Cli, run: Run, aside: boolean): void {
  const document = documentOf(run);
  if (cli.format === 'json') return cli.line(document);
  const {steps: _, ...counts} = document;
  if (cli.format === 'ndjson') return cli.line({type: 'end', ...counts});
  const {ok, passed, failed, skipped} = counts;
  // Of rows in columns it is none.
  tell(
    cli,
    `${ok ? 'ok' : 'failed'}: ${passed} passed, ${failed} failed, ${skipped} skipped`,
    aside || cli.format === 'plain',
  );
}
