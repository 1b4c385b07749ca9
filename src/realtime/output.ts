// What goes out to one client: replies and pushes of one frame together, and never more than a queue may hold.

export interface Output {
  /** `encoded` is the same text, made once for many. */
  send(text: string, encoded?: Buffer): void;
  /** Collects what is sent until `flush`. */
  collect(): void;
  flush(): void;
}

interface Sink {
  write(text: string, encoded?: Buffer): void;
  /** Bytes that wait to be written. */
  buffered(): number;
  /** Called when the client takes less than it is sent. */
  overflow(): void;
}

export function createOutput({write, buffered, overflow}: Sink, maxSize: number): Output {
  let batch: string[] | undefined;
  let batchSize = 0;

  function send(text: string, encoded?: Buffer): void {
    batchSize += text.length;
    if (buffered() + batchSize > maxSize) return overflow();
    if (batch) {
      batch.push(text);
      return;
    }
    batchSize = 0;
    write(text, encoded);
  }

  return {
    send,
    collect() {
      batch = [];
      batchSize = 0;
    },
    flush() {
      const texts = batch ?? [];
      batch = undefined;
      batchSize = 0;
      if (texts.length > 0) write(texts.join('\n'));
    },
  };
}
