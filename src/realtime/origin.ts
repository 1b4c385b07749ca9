import {globPattern} from './glob.ts';

/** Whether a page of this origin may connect. No origin is no browser, and may; an empty list lets no browser in. */
export function isAllowedOrigin(origin: string | undefined, allowed: readonly string[]): boolean {
  if (origin === undefined) return true;
  const lower = origin.toLowerCase();
  return allowed.some(glob => globPattern(glob.toLowerCase()).test(lower));
}
