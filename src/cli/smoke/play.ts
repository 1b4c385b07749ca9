// Plays the steps of a scenario on a stage.
import {toUser} from '../actions/parse.ts';
import {parseExpression} from '../expression.ts';
import {briefly, mustBe} from './failure.ts';
import type {Scenario, ScenarioStep} from './scenario.ts';
import type {Stage, Step} from './step.ts';
import {capture, filled, filledExpression, filledPath, filledText, type Values} from './values.ts';

/** The steps of a scenario, for one run. */
export function playOf(scenario: Scenario): Step[] {
  const values: Values = new Map();
  return scenario.steps.map(step => ({
    id: step.id,
    about: step.about,
    needs: step.needs,
    always: step.always,
    async run(stage) {
      values.set('run', stage.mark).set('api_url', stage.apiUrl).set('realtime_url', stage.realtimeUrl);
      await play(step, stage, values);
    },
  }));
}

async function play(step: ScenarioStep, stage: Stage, values: Values): Promise<void> {
  const tools = toolsOf(stage, values);
  const who = (text: string) => toUser(filledText(text, values));
  switch (step.verb) {
    case 'request': {
      const {request, as, body, status, assert} = step;
      const [method = '', path = ''] = filledPath(request, values).split(' ');
      const answer = await tools.request(filledText(as, values), method, path, filled(body, values) as object);
      const found = briefly(answer.body);
      if (status !== undefined) {
        mustBe(answer.status === status, `${method} ${path} answered ${answer.status} and not ${status}: ${found}`);
      } else mustBe(answer.status < 400, `${method} ${path} answered ${answer.status}: ${found}`);
      return mustHold(answer, assert, step.capture, values);
    }
    case 'connect':
      return tools.connect(who(step.connect));
    case 'expect': {
      const event = await tools.expect(who(step.expect), filledExpression(step.event, values), step.within);
      return capture(event, step.capture, values);
    }
    case 'chatctl': {
      const args = step.chatctl.map(each => filledText(each, values));
      const stdin = step.stdin === undefined ? undefined : filledText(step.stdin, values);
      const result = await tools.chatctl(args, stdin);
      const told = briefly((result.stderr || result.stdout).trim());
      mustBe(
        result.exit === step.exit,
        `chatctl ${args.join(' ')} ended with ${result.exit} and not ${step.exit}: ${told}`,
      );
      return mustHold(result, step.assert, step.capture, values);
    }
    case 'drop':
      return tools.drop(who(step.drop));
    case 'back':
      return mustHold({recovered: await tools.back(who(step.back))}, step.assert, {}, values);
    case 'run':
      await step.run(tools);
  }
}

function mustHold(
  found: object,
  asserts: readonly string[],
  captures: Readonly<Record<string, string>>,
  values: Values,
): void {
  for (const text of asserts) {
    const expression = parseExpression(filledExpression(text, values));
    mustBe(expression.holds(found), `${expression.text} does not hold of ${briefly(found)}`);
  }
  capture(found, captures, values);
}

/** What the steps do, and what a step that is a function is given. */
function toolsOf(stage: Stage, values: Values) {
  const person = (id: string) => stage.person(toUser(id));
  return {
    values,
    run: stage.mark,
    apiUrl: stage.apiUrl,
    realtimeUrl: stage.realtimeUrl,
    /** As a user, as `service`, or as `nobody`, who has no token. */
    request(as: string, method: string, path: string, body?: object) {
      if (as === 'service') return stage.service(method, path, body);
      return as === 'nobody' ? stage.nobody(method, path, body) : person(as).call(method, path, body);
    },
    connect: (user: string) => person(user).connect(stage.realtimeUrl),
    /** The next event of a connected user for which the expression holds. */
    async expect(user: string, expression: string, withinMs?: number) {
      const {holds, text} = parseExpression(expression);
      const event = await person(user).waitFor(text, each => holds({...each, ...each.data}), withinMs);
      return {...event, ...event.data};
    },
    drop(user: string) {
      person(user).drop();
    },
    back: (user: string) => person(user).back(),
    async chatctl(args: readonly string[], stdin?: string) {
      const result = await stage.chatctl(args, stdin);
      return {...result, body: parsed(result.stdout)};
    },
  };
}

/** Standard output as JSON, or null. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
