// Lists that are longer than a page: read on from the last thing that was read, and printed as they come.
import type {Stretch} from '../../core/pages.ts';
import {mannerOf, nextCommand, wordsOf, type Said} from '../command-name.ts';
import type {Cli} from '../context.ts';
import type {Progress} from '../progress.ts';

export interface ListOptions {
  limit: number;
  /** The `next` of an earlier list. */
  after?: string | undefined;
  all?: boolean | undefined;
}

/** Read by one statement. */
const stretchSize = 1_000;

/** Reads on until there are so many; each stretch begins where the one before ended. */
export async function* stretches<T>(
  {limit, after, all}: ListOptions,
  read: (after: string | undefined, limit: number) => Promise<Stretch<T>>,
  size = stretchSize,
): AsyncGenerator<Stretch<T>> {
  let left = all ? Infinity : limit;
  let place = after;
  for (;;) {
    const stretch = await read(place, Math.min(left, size));
    yield stretch;
    left -= stretch.items.length;
    if (stretch.next === null || left <= 0) return;
    place = stretch.next;
  }
}

interface Listing<T> {
  /** What they are called in the document. */
  name: string;
  present: (item: T) => object;
  columns: readonly string[];
  id: string;
  command: readonly string[];
  args?: readonly string[];
  /** As they were given, without where to go on. */
  flags: Said;
  /** Says where: `--after`, unless the list goes the other way. */
  onBy?: string;
}

/** Prints what was read while the rest is still to come, and how to go on where a limit cut it. */
export async function printList<T>(cli: Cli, listing: Listing<T>, found: AsyncIterable<Stretch<T>>): Promise<void> {
  const {name, columns, id} = listing;
  let next: string | null = null;
  async function* pages() {
    let progress: Progress | undefined;
    try {
      for await (const stretch of found) {
        next = stretch.next;
        yield stretch.items.map(listing.present);
        // What is printed as it comes says itself how far it is.
        if (next !== null && isWhole(cli)) progress ??= await progressOf(cli, listing);
        progress?.add(stretch.items.length);
      }
    } finally {
      progress?.done();
    }
  }
  const isRead = await cli.printPages({pages: pages(), columns, id, json: items => ({[name]: items, next})});
  if (isRead && next !== null) tellMore(cli, listing, next);
}

const isWhole = ({format}: Cli) => format === 'json' || format === 'table';

async function progressOf(cli: Cli, {name}: {name: string}): Promise<Progress> {
  const {createProgress} = await import('../progress.ts');
  return createProgress(cli, {label: `Reading ${name}`});
}

/** The command that goes on, as a line that a shell takes for what it is. */
export function tellMore(
  cli: Cli,
  {command, args = [], flags, onBy = '--after'}: Pick<Listing<unknown>, 'command' | 'args' | 'flags' | 'onBy'>,
  next: string,
): void {
  const words = [...wordsOf({...flags, [onBy]: next}), ...mannerOf(cli)];
  cli.note(`There is more: ${nextCommand(cli, command, args, words)}`);
}
