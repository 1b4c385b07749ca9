// What steps of a scenario leave for later ones: `${room}` in a later step is what an earlier one captured as `room`.
import {valueAt} from '../expression.ts';
import {briefly, mustBe} from './failure.ts';

export type Values = Map<string, unknown>;

const place = /\$\{(\w+)\}/g;

/** The names that are used anywhere in this value. */
export function namesIn(value: unknown): string[] {
  if (typeof value === 'string') return [...value.matchAll(place)].map(([, name = '']) => name);
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, each]) => [...namesIn(key), ...namesIn(each)]);
}

/** The value with what was captured in place; a text that is nothing but `${name}` becomes the captured value itself. */
export function filled(value: unknown, values: Values): unknown {
  if (typeof value === 'string') {
    const [, whole] = /^\$\{(\w+)\}$/.exec(value) ?? [];
    return whole === undefined ? filledText(value, values) : values.get(whole);
  }
  if (Array.isArray(value)) return value.map(each => filled(each, values));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [filledText(key, values), filled(each, values)]),
  );
}

export function filledText(text: string, values: Values): string {
  return text.replaceAll(place, (_, name: string) => textOf(values.get(name)));
}

/** A path of the API, in which what was captured keeps to its place. */
export function filledPath(path: string, values: Values): string {
  return path.replaceAll(place, (_, name: string) => encodeURIComponent(textOf(values.get(name))));
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

const quotedOrNot = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^"']+|["']/g;

/** An expression, in which a captured text is one value whatever is in it: it cannot add a condition. */
export function filledExpression(text: string, values: Values): string {
  return text.replaceAll(quotedOrNot, part => {
    const quoted = /^["']/.test(part);
    return part.replaceAll(place, (_, name: string) => {
      const value = values.get(name);
      const escaped = textOf(value).replaceAll(/[\\"']/g, String.raw`\$&`);
      return quoted ? escaped : typeof value === 'string' ? `"${escaped}"` : textOf(value);
    });
  });
}

/** Keeps what lies at these paths. Fails when there is nothing. */
export function capture(from: unknown, paths: Readonly<Record<string, string>>, values: Values): void {
  for (const [name, path] of Object.entries(paths)) {
    const found = valueAt(from, path.split('.'));
    mustBe(found !== undefined, `There is nothing at ${path} to capture as ${name}, in ${briefly(from)}`);
    values.set(name, found);
  }
}
