// Reads fields of commands and requests. A field of the wrong type is the caller's `wrong`, an absent one undefined.

export type Fields = Record<string, unknown>;

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export interface FieldReader {
  text(name: string): string | undefined;
  /** A whole number that is not negative. */
  whole(name: string): number | undefined;
  integer(name: string): number | undefined;
  flag(name: string): boolean;
  fields(name: string): Fields | undefined;
  texts(name: string): string[] | undefined;
  /** Any JSON, as text on one line. */
  json(name: string): string | undefined;
}

export function fieldReader(fields: Fields, wrong: () => Error): FieldReader {
  function typed<T>(name: string, check: (value: unknown) => value is T): T | undefined {
    const value = fields[name];
    if (value === undefined || value === null) return undefined;
    if (!check(value)) throw wrong();
    return value;
  }
  return {
    text: name => typed(name, isText),
    whole: name => typed(name, isWhole),
    integer: name => typed(name, isInteger),
    flag: name => typed(name, isFlag) ?? false,
    fields: name => typed(name, isFields),
    texts: name => typed(name, isTexts),
    json: name => (fields[name] === undefined ? undefined : JSON.stringify(fields[name])),
  };
}

const isText = (value: unknown): value is string => typeof value === 'string';
const isInteger = (value: unknown): value is number => Number.isSafeInteger(value);
const isWhole = (value: unknown): value is number => isInteger(value) && value >= 0;
const isFlag = (value: unknown): value is boolean => typeof value === 'boolean';
const isTexts = (value: unknown): value is string[] => Array.isArray(value) && value.every(isText);
