import {maxPageSize} from './input.ts';

/** Lists are counted up to here; a longer one says this number. Nothing scans a table to count it. */
export const countLimit = 10_000;

/** What is around a page: how many there are in all, and the query parameters of the pages beside it, or null at an end. */
export interface Neighbours {
  count: number;
  next: Record<string, string> | null;
  previous: Record<string, string> | null;
}

export interface Page<T> extends Neighbours {
  items: T[];
}

/** A page whose items are JSON texts, with commas between them. */
export interface PageText extends Neighbours {
  results: string;
}

export interface PageRequest {
  page: number;
  limit: number;
}

export const firstPage: PageRequest = {page: 1, limit: maxPageSize};

export function offsetOf({page, limit}: PageRequest): {limit: number; offset: number} {
  return {limit: limit + 1, offset: (page - 1) * limit};
}

/** What follows a place in a list, for whoever reads on and on: it costs the same at any depth, and nothing is counted. */
export interface Stretch<T> {
  items: T[];
  /** The place to read on from, or null at the end. */
  next: string | null;
}

/** Of one more than was asked for, which tells whether there are more. */
export function stretchOf<T>(found: T[], limit: number, placeOf: (item: T) => string): Stretch<T> {
  const items = found.slice(0, limit);
  const last = items.at(-1);
  return {items, next: found.length > limit && last !== undefined ? placeOf(last) : null};
}

/**
 * Makes a page of what `offsetOf` asked for: one more than the page holds tells whether there is a next one. The last page
 * tells by itself how many there are; the count may be of another moment.
 */
export function numberedPage<T>(request: PageRequest, found: T[], count: number): Page<T> {
  const {page, limit} = request;
  const isLast = found.length <= limit && (found.length > 0 || page === 1);
  return {
    count: isLast && count < countLimit ? (page - 1) * limit + found.length : count,
    items: found.slice(0, limit),
    next: found.length > limit ? {page: String(page + 1)} : null,
    previous: page > 1 ? {page: String(page - 1)} : null,
  };
}
