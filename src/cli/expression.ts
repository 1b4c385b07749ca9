// What `listen --expect` waits for: `type==message_added && body.room.id==7 && body.content~"deploy"`.
// Conditions `path op value` joined by &&; the value is a bare word, a quoted text, a number or a duration, which
// counts in milliseconds. Parsed by hand, because evaluating it as code would run whatever a script puts in.
import {ChatError} from '../core/errors.ts';

export interface Expression {
  text: string;
  holds(value: unknown): boolean;
}

type Operator = '==' | '!=' | '<=' | '>=' | '<' | '>' | '~';
type Literal = {text: string; value: string | number | boolean | null};
type Holds = (value: unknown) => boolean;

// A bare word that begins as an operator does belongs to one that there is not, such as ===.
const condition =
  /\s*([A-Za-z_][\w.]*)\s*(==|!=|<=|>=|<|>|~)\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s&"'=!<>~][^\s&"']*)\s*/y;
const and = /&&/y;

/** Throws bad_format, pointing at the place that is not understood. */
export function parseExpression(text: string): Expression {
  const holds: Holds[] = [];
  for (let at = 0; ;) {
    const [all, path, operator, literal] = matchAt(condition, text, at) ?? [];
    if (all === undefined || path === undefined || literal === undefined) throw notUnderstood(text, at);
    holds.push(comparison(text, path, operator as Operator, parseLiteral(literal)));
    at += all.length;
    if (at === text.length) break;
    if (!matchAt(and, text, at)) throw notUnderstood(text, at);
    at += 2;
  }
  return {text, holds: value => holds.every(each => each(value))};
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text) ?? undefined;
}

function notUnderstood(text: string, at: number): ChatError {
  const place = at < text.length ? `at "${text.slice(at, at + 20)}"` : 'at its end';
  return new ChatError('bad_format', `The expression ${text} is not understood ${place}.`, {
    hint: "It is path op value, joined by &&, with == != < <= > >= ~ (contains): 'type==message_added && body.room.id==7'",
  });
}

const durations: Record<string, number> = {ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000};
const words: Record<string, boolean | null> = {true: true, false: false, null: null};

function parseLiteral(text: string): Literal {
  if (/^["']/.test(text)) {
    const inner = text.slice(1, -1).replaceAll(/\\(.)/g, '$1');
    return {text: inner, value: inner};
  }
  const [, amount, unit] = /^(-?\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text) ?? [];
  if (amount !== undefined) return {text, value: Number(amount) * (unit === undefined ? 1 : (durations[unit] ?? 1))};
  return {text, value: Object.hasOwn(words, text) ? (words[text] ?? null) : text};
}

function comparison(text: string, path: string, operator: Operator, literal: Literal): Holds {
  const at: (value: unknown) => unknown = value => valueAt(value, path.split('.'));
  switch (operator) {
    case '==':
      return value => equal(at(value), literal);
    case '!=':
      return value => !equal(at(value), literal);
    case '~':
      return value => contains(at(value), literal.text);
    default:
      return ordering(text, at, operator, literal);
  }
}

function ordering(
  text: string,
  at: (value: unknown) => unknown,
  operator: '<' | '<=' | '>' | '>=',
  literal: Literal,
): Holds {
  const wanted = literal.value;
  if (typeof wanted !== 'number') {
    throw new ChatError('bad_format', `In ${text}, ${operator} needs a number or a duration, not ${literal.text}.`, {
      hint: 'For example latency_ms<200ms. See: chatctl help expressions',
    });
  }
  const compare: Record<typeof operator, (found: number) => boolean> = {
    '<': found => found < wanted,
    '<=': found => found <= wanted,
    '>': found => found > wanted,
    '>=': found => found >= wanted,
  };
  return value => {
    const found = at(value);
    return typeof found === 'number' && compare[operator](found);
  };
}

// An id may be a number in one place and text in another, so that `==` also compares what is written.
function equal(found: unknown, {text, value}: Literal): boolean {
  if (found === undefined) return false;
  return found === value || (isPlain(found) && String(found) === text);
}

function isPlain(value: unknown): value is string | number {
  return typeof value === 'string' || typeof value === 'number';
}

function contains(found: unknown, text: string): boolean {
  if (Array.isArray(found)) return found.some(each => isPlain(each) && String(each) === text);
  return isPlain(found) && String(found).toLowerCase().includes(text.toLowerCase());
}

/** What lies at this path, or undefined. */
export function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (part, key) =>
      typeof part === 'object' && part !== null && Object.hasOwn(part, key) ? Reflect.get(part, key) : undefined,
    value,
  );
}
