// Scenario files: steps of one's own, as JSON or as an ES module that exports `steps`. The shape is in the help on
// `scenarios`; what is wrong with a file is told with the step it is in, before anything runs.
import {accessSync, constants, readFileSync} from 'node:fs';
import {pathToFileURL} from 'node:url';
import {z} from 'zod';
import {ChatError} from '../../core/errors.ts';
import {UserIdInput} from '../../core/input.ts';
import {nearest} from '../../core/nearest.ts';
import {parseExpression} from '../expression.ts';
import {unreadable} from '../unreadable.ts';
import {duration} from '../values.ts';
import {filledExpression, namesIn, type Values} from './values.ts';

const Name = z.string().regex(/^\w+$/, 'must be letters, digits and _');
const Path = z.string().regex(/^[A-Za-z_][\w.]*$/, 'must be a path such as body.room.id');
const Capture = z.record(Name, Path).default({});
const Assert = z.array(z.string()).default([]);
const Duration = z.string().transform((text, context) => {
  try {
    return duration(text);
  } catch {
    context.addIssue('must be a duration such as 500ms or 5s');
    return z.NEVER;
  }
});
const Id = z.string().regex(/^[\w.-]{1,64}$/, 'must be 1 to 64 of letters, digits, _ . -');
/** A user id, in which captured values may stand; it is looked at again once they are known. */
const Who = z.string().refine(text => text.includes('${') || UserIdInput.safeParse(text).success, 'is no user id');

const common = {
  id: Id.optional(),
  about: z.string().max(200).optional(),
  needs: z.array(Id).optional(),
  always: z.boolean().default(false),
};
const Request = z.strictObject({
  ...common,
  request: z
    .string()
    .regex(/^(GET|POST|PUT|PATCH|DELETE) \/\S*$/, 'must be a method and a path, such as GET /api/rooms/'),
  as: Who.default('service'),
  body: z.record(z.string(), z.unknown()).optional(),
  status: z.int().min(100).max(599).optional(),
  assert: Assert,
  capture: Capture,
});
const Connect = z.strictObject({...common, connect: Who});
const Expect = z.strictObject({
  ...common,
  expect: Who,
  event: z.string(),
  within: Duration.default(5_000),
  capture: Capture,
});
const Chatctl = z.strictObject({
  ...common,
  chatctl: z.array(z.string()).min(1),
  stdin: z.string().optional(),
  exit: z.int().min(0).max(255).default(0),
  assert: Assert,
  capture: Capture,
});
const Drop = z.strictObject({...common, drop: Who});
const Back = z.strictObject({...common, back: Who, assert: Assert});
const Run = z.strictObject({
  ...common,
  run: z.custom<(tools: object) => unknown>(value => typeof value === 'function', 'must be a function'),
});

const shapes = {request: Request, connect: Connect, expect: Expect, chatctl: Chatctl, drop: Drop, back: Back, run: Run};
type Verb = keyof typeof shapes;
const verbs = Object.keys(shapes) as Verb[];

type Parsed = {[V in Verb]: {verb: V} & z.output<(typeof shapes)[V]>}[Verb];
/** A step as its file says it, with an id and what it needs. */
export type ScenarioStep = Parsed & {id: string; about: string; needs: readonly string[]};

export interface Scenario {
  name: string;
  steps: readonly ScenarioStep[];
}

/** Names that every scenario may use without capturing them. */
export const givenNames = ['run', 'api_url', 'realtime_url'] as const;
const maxSteps = 1_000;

/** Reads and checks a scenario. Throws file_not_found, and invalid_input, which names the file and the step. */
export async function readScenario(path: string): Promise<Scenario> {
  try {
    accessSync(path, constants.R_OK);
  } catch (cause) {
    throw unreadable(path, cause);
  }
  const content = /\.[cm]?[jt]s$/.test(path) ? await importModule(path) : readJson(path);
  const document = z
    .object({
      name: z.string().max(200).optional(),
      steps: z.array(z.record(z.string(), z.unknown())).min(1).max(maxSteps),
    })
    .safeParse(content);
  if (!document.success) {
    throw wrong(path, misshapen(document.error));
  }
  const {name = path.split('/').at(-1) ?? path, steps} = document.data;
  return {name, steps: checked(path, steps)};
}

function misshapen({issues: [first]}: z.ZodError): string {
  const place = first && first.path.length > 0 ? `; look at ${first.path.join('.')}` : '';
  return `it must have "steps", a list of 1 to ${maxSteps} objects, and may have "name", a short text${place}`;
}

function wrong(path: string, problem: string, cause?: unknown): ChatError {
  return new ChatError('invalid_input', `The scenario ${path} is not valid: ${problem}.`, {
    cause,
    hint: 'See: chatctl help scenarios',
  });
}

function readJson(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw unreadable(path, cause);
  }
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw wrong(path, `it is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  }
}

async function importModule(path: string): Promise<object> {
  const exported = await import(pathToFileURL(path).href).catch((cause: unknown) => {
    throw wrong(path, `the module cannot be loaded: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  });
  const content = {...(exported as object)};
  if (Object.hasOwn(content, 'steps')) return content;
  const names = Object.keys(content).join(', ') || 'nothing';
  throw wrong(path, `it exports ${names} and not steps; write: export const steps = […]`);
}

function checked(path: string, raw: readonly Record<string, unknown>[]): ScenarioStep[] {
  const steps: ScenarioStep[] = [];
  const known = new Set<string>(givenNames);
  for (const [i, each] of raw.entries()) {
    const label = `step ${i + 1}${typeof each['id'] === 'string' ? ` (${each['id']})` : ''}`;
    const parsed = parseStep(each, problem => wrong(path, `${label} ${problem}`));
    const step: ScenarioStep = {
      ...parsed,
      id: parsed.id ?? String(i + 1),
      about: parsed.about ?? aboutOf(parsed),
      // A step stands on those before it, unless it says on which.
      needs: parsed.needs ?? (parsed.always ? [] : steps.filter(({always}) => !always).map(({id}) => id)),
    };
    const earlier = steps.map(({id}) => id);
    if (earlier.includes(step.id)) throw wrong(path, `${label} has the id of an earlier step`);
    const missing = step.needs.find(need => !earlier.includes(need));
    if (missing !== undefined) throw wrong(path, `${label} needs ${missing}, which is no earlier step`);
    mustKnowNames(step, known, problem => wrong(path, `${label} ${problem}`));
    mustBeConnected(step, steps, problem => wrong(path, `${label} ${problem}`));
    if ('capture' in step) for (const name of Object.keys(step.capture)) known.add(name);
    // What a function captures is known only when it has run.
    if (step.verb === 'run') for (const name of namesIn(raw)) known.add(name);
    steps.push(step);
  }
  return steps;
}

function parseStep(raw: Record<string, unknown>, fail: (problem: string) => ChatError): Parsed {
  const [verb, another] = verbs.filter(each => Object.hasOwn(raw, each));
  if (verb === undefined || another !== undefined) throw fail(`must have exactly one of ${verbs.join(', ')}`);
  const result = shapes[verb].safeParse(raw);
  if (!result.success) {
    const {path = [], message = ''} = result.error.issues[0] ?? {};
    throw fail(`is wrong${path.length > 0 ? ` at ${path.join('.')}` : ''}: ${message}`);
  }
  const parsed = {verb, ...result.data} as Parsed;
  const expressions = [...('assert' in parsed ? parsed.assert : []), ...('event' in parsed ? [parsed.event] : [])];
  for (const text of expressions) {
    try {
      parseExpression(filledExpression(text, anything));
    } catch (error) {
      throw fail(`is wrong: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return parsed;
}

/** Stands for values that are not known yet, where an expression is only looked at. */
const anything: Values = new Proxy(new Map(), {get: () => () => 0});

function mustKnowNames(step: ScenarioStep, known: ReadonlySet<string>, fail: (problem: string) => ChatError): void {
  const unknown = namesIn(step).find(name => !known.has(name));
  if (unknown === undefined) return;
  const near = nearest(unknown, [...known]);
  throw fail(
    `uses \${${unknown}}, which no earlier step captures${near === undefined ? '' : `; did you mean ${near}`}`,
  );
}

/** Who connects only when an event is expected would miss those that came before. */
function mustBeConnected(
  step: ScenarioStep,
  earlier: readonly ScenarioStep[],
  fail: (problem: string) => ChatError,
): void {
  const who = step.verb === 'expect' ? step.expect : step.verb === 'drop' ? step.drop : undefined;
  const user = step.verb === 'back' ? step.back : who;
  const connects = earlier.some(each => each.verb === 'run' || (each.verb === 'connect' && each.connect === user));
  if (user !== undefined && !connects) throw fail(`is about ${user}, whom no earlier step connects`);
}

function aboutOf(step: Parsed): string {
  switch (step.verb) {
    case 'request':
      return `${step.request} as ${step.as}`;
    case 'connect':
      return `${step.connect} connects`;
    case 'expect':
      return `${step.expect} gets ${step.event}`;
    case 'chatctl':
      return `chatctl ${step.chatctl.join(' ')}`;
    case 'drop':
      return `${step.drop} loses the connection`;
    case 'back':
      return `${step.back} comes back`;
    case 'run':
      return step.run.name || 'a function';
  }
}
