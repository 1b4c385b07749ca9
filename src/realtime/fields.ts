// Reads fields of commands, requests and claims, and tells whether all of them have their types. Null stands for absent.

export type Fields = Record<string, unknown>;

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

type Check = (value: unknown) => boolean;
/** Types by field name; other fields may be anything. */
export type Shape = Record<string, Check>;

export const isText = (value: unknown): value is string => typeof value === 'string';
export const isInteger = (value: unknown): value is number => Number.isSafeInteger(value);
export const isWhole = (value: unknown): value is number => isInteger(value) && value >= 0;
export const isFlag = (value: unknown): value is boolean => typeof value === 'boolean';
export const isTexts = (value: unknown): value is string[] => Array.isArray(value) && value.every(isText);

export function fits(fields: Fields, shape: Shape): boolean {
  return Object.entries(shape).every(([name, check]) => {
    const value = fields[name];
    return value === undefined || value === null || check(value);
  });
}

/** An object of this shape. */
export function shaped(shape: Shape): Check {
  return value => isFields(value) && fits(value, shape);
}

/** An object whose values all pass. */
export function mapOf(check: Check): Check {
  return value => isFields(value) && Object.values(value).every(check);
}

export interface FieldReader {
  text(name: string): string | undefined;
  /** A whole number that is not negative. */
  whole(name: string): number | undefined;
  integer(name: string): number | undefined;
  flag(name: string): boolean;
  fields(name: string): Fields | undefined;
  texts(name: string): string[] | undefined;
}

/** A field of the wrong type is the caller's `wrong`, an absent one undefined. */
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
  };
}
