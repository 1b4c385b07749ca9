/** A connection's prepared statements, by their text. */
export interface KeptStatements<Statement> {
  of(text: string, prepare: () => Statement): Statement;
  drop(text: string): void;
  clear(): void;
}

/** There are about a hundred texts; what is beyond this takes the place of the oldest. */
const maxKept = 300;

export function keptStatements<Statement>(end: (statement: Statement) => void): KeptStatements<Statement> {
  const kept = new Map<string, Statement>();
  function drop(text: string): void {
    const statement = kept.get(text);
    kept.delete(text);
    if (statement !== undefined) end(statement);
  }
  return {
    of(text, prepare) {
      const known = kept.get(text);
      if (known !== undefined) return known;
      const made = prepare();
      kept.set(text, made);
      for (const oldest of kept.keys()) {
        if (kept.size <= maxKept) break;
        drop(oldest);
      }
      return made;
    },
    drop,
    clear() {
      for (const text of kept.keys()) drop(text);
    },
  };
}
