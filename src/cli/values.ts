// Values of flags, checked where commander reads them.
import {InvalidArgumentError} from 'commander';
import {didYouMean} from '../core/nearest.ts';

const units: Record<string, number> = {ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000};

/** `30s`, `5m`, `2h`, `1d`, `500ms` in milliseconds. A bare number has no unit and is refused. */
export function duration(text: string): number {
  const [, amount = '', unit = ''] = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text) ?? [];
  const ms = Number(amount) * (units[unit] ?? 0);
  if (!(ms > 0) || ms > 3_650 * 86_400_000) {
    throw new InvalidArgumentError('It needs a number with a unit: 500ms, 30s, 5m, 2h or 1d.');
  }
  return ms;
}

/** `2h` ago in milliseconds, or the text of a time, which is read where the chat is known. */
export function moment(text: string): number | string {
  if (/^\d{4}-\d\d-\d\d./.test(text)) return text;
  try {
    return duration(text);
  } catch {
    throw new InvalidArgumentError('It needs a number with a unit, such as 2h or 7d, or a time in RFC 3339.');
  }
}

/** A lifetime in seconds, or `none`, which is the only way to never; commander itself would take a null for no value. */
export function ttl(text: string): number | 'none' {
  if (text === 'none') return text;
  const ms = duration(text);
  if (ms < 1_000) throw new InvalidArgumentError('It must be at least 1s.');
  return Math.floor(ms / 1_000);
}

export function count(most: number) {
  return (text: string): number => {
    const value = Number(text);
    if (/^\d{1,9}$/.test(text) && value >= 1 && value <= most) return value;
    throw new InvalidArgumentError(`It must be a whole number from 1 to ${most}.`);
  };
}

/** How many of those that are there already; none is an answer too. */
export function lastCount(text: string): number {
  return text === '0' ? 0 : count(10_000)(text);
}

/** One of a few words; behind a line break is what a person probably meant. */
export function choice(words: readonly string[]) {
  return (text: string): string => {
    if (words.includes(text)) return text;
    const meant = didYouMean(text, words);
    throw new InvalidArgumentError(`Allowed choices are ${words.join(', ')}.${meant ? `\n${meant}` : ''}`);
  };
}

/** A variable of a script that is not set would otherwise mean the usual database, of all. */
export function given(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('It must not be empty.');
  return text;
}

export function list(text: string): string[] {
  return given(text)
    .split(',')
    .map(each => each.trim())
    .filter(Boolean);
}

/** Collects a flag that may be given several times. */
export function collect(text: string, before: string[] = []): string[] {
  return [...before, given(text)];
}

/** `name=value`, collected; the value is JSON where it can be. */
export function claims(text: string, before: Record<string, unknown> = {}): Record<string, unknown> {
  const [, name, value = ''] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (name === undefined) throw new InvalidArgumentError('It must be name=value.');
  if (['sub', 'iat', 'exp'].includes(name)) {
    throw new InvalidArgumentError('sub, iat and exp come from the user, the clock and --ttl.');
  }
  // What signs looks the names up in an object of its own, where it finds these.
  if (name in Object.prototype) throw new InvalidArgumentError('There is no claim of this name.');
  const claim = jsonOrText(value);
  if (name === 'nbf' && typeof claim !== 'number') throw new InvalidArgumentError('nbf is a time, in seconds.');
  return {...before, [name]: claim};
}

function jsonOrText(value: string): unknown {
  try {
    return JSON.parse(value) as unknown;
  } catch {
    return value;
  }
}

/** commander itself would take a null for no value. */
export function json(text: string): unknown {
  const value = jsonOrText(text);
  if (value === text || value === null) throw new InvalidArgumentError('It must be JSON, and not null.');
  return value;
}

/** `name=value`, collected, the value as text. */
export function pairs(text: string, before: Record<string, string> = {}): Record<string, string> {
  const [, name, value] = /^([^=]+)=(.+)$/s.exec(text) ?? [];
  if (name === undefined || value === undefined) throw new InvalidArgumentError('It must be name=value.');
  return {...before, [name]: value};
}

/** What Centrifugo lets a subscription token change. */
const overridable = ['presence', 'join_leave', 'force_push_join_leave', 'force_recovery', 'force_positioning'];

/** `presence=true`, collected in the shape of the claim. */
export function overrides(
  text: string,
  before: Record<string, {value: boolean}> = {},
): Record<string, {value: boolean}> {
  const [, name = '', value] = /^([a-z_]+)=(true|false)$/.exec(text) ?? [];
  if (!overridable.includes(name)) {
    throw new InvalidArgumentError(`It must be one of ${overridable.join(', ')}, with =true or =false.`);
  }
  return {...before, [name]: {value: value === 'true'}};
}
