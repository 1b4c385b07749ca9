import {z} from 'zod';
import {PageNumberInput, PageSizeInput} from '../core/input.ts';
import type {Page, PageText} from '../core/pages.ts';

/** Query parameters of every numbered list. */
export const pageQuery = {page: PageNumberInput, limit: PageSizeInput};

/** A page as JSON, with absolute links that keep the request's other parameters. */
export function presentPage<T>(
  base: string,
  path: string,
  query: object,
  page: Page<T>,
  present: (item: T) => object,
): object {
  return {
    count: page.count,
    next: page.next && link(base, path, query, page.next),
    previous: page.previous && link(base, path, query, page.previous),
    results: page.items.map(present),
  };
}

/** The answer with the same page as text, of items that are JSON texts already. */
export function answerWithText(base: string, path: string, query: object, page: PageText) {
  const empty = JSON.stringify(presentPage(base, path, query, {...page, items: []}, nothing => nothing));
  return {
    status: 200,
    body: `${empty.slice(0, -']}'.length)}${page.results}]}`,
    headers: {'Content-Type': 'application/json; charset=utf-8'},
  } as const;
}

const cursors = new Set(['page', 'before', 'after', 'around']);

function link(base: string, path: string, query: object, position: Record<string, string>): string {
  const kept = Object.entries(query).filter(([name, value]) => !cursors.has(name) && value !== undefined);
  const parameters = new URLSearchParams();
  for (const [name, value] of [...kept, ...Object.entries(position)]) parameters.set(name, String(value));
  return `${base}${path}?${parameters.toString()}`;
}

/** A yes or no in a query; empty is as good as absent. */
export const Flag = z.enum(['true', 'false', '']).transform(text => (text === '' ? undefined : text === 'true'));
