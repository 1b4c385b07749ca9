// The same done to each of many things, until Ctrl-C: what was done is printed in any case.
import type {Cli} from '../context.ts';
import {interruptOf} from '../interrupt.ts';
import {forEach, mustAllBeOk, type ItemResult} from './parse.ts';

export async function doEach<T>(
  cli: Cli,
  things: readonly T[],
  named: (thing: T) => object,
  action: (thing: T) => Promise<object>,
  print: (results: (ItemResult & object)[]) => void,
): Promise<void> {
  // One alone is let go at once, whatever it waits for.
  const interrupt = things.length > 1 ? interruptOf(cli.io) : undefined;
  const mayGoOn = () => Promise.resolve(!interrupt?.asked());
  const results = await forEach(cli, things, named, action, mayGoOn).finally(() => interrupt?.release());
  print(results);
  if (interrupt?.asked()) {
    cli.note(`Stopped: ${results.length} of ${things.length} were done.`);
    interrupt.exit();
  }
  mustAllBeOk(results);
}
