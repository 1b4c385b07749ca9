export interface Portions {
  /** Tasks of one portion, or a hundredth of those that wait, where that is more. */
  atOnce: number;
  /** Between two portions; without it the next turn of the event loop has the next one. */
  pauseMs?: number;
}

/** Does what it is given soon, a little at a time, so that what came together holds nobody else up. */
export function inPortions({atOnce, pauseMs}: Portions): (task: () => void) => void {
  const waiting: (() => void)[] = [];
  function some(): void {
    const portion = waiting.splice(0, Math.max(atOnce, Math.ceil(waiting.length / 100)));
    if (waiting.length > 0) next();
    for (const task of portion) task();
  }
  function next(): void {
    if (pauseMs === undefined) setImmediate(some);
    else setTimeout(some, pauseMs);
  }
  return task => {
    if (waiting.push(task) === 1) setImmediate(some);
  };
}
