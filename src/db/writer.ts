// One writing transaction at a time in this process, in order of arrival. SQLite has a single writer anyway; waiting
// here instead of at the file's lock keeps the line fair.

export interface WriterQueue {
  run<T>(work: () => Promise<T>): Promise<T>;
  /** Waits for what is queued; what comes later is refused. */
  close(): Promise<void>;
}

export function writerQueue(): WriterQueue {
  let last: Promise<unknown> = Promise.resolve();
  let closed = false;
  return {
    run(work) {
      if (closed) return Promise.reject(new Error('The database is closed.'));
      const turn = last.then(work, work);
      last = turn.catch(() => undefined);
      return turn;
    },
    async close() {
      closed = true;
      await last;
    },
  };
}
