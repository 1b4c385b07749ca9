/** Why a step failed: what it checked is not so, or what it waited for did not come. */
export class StepFailure extends Error {
  readonly kind: 'check' | 'timeout';
  constructor(kind: 'check' | 'timeout', message: string) {
    super(message);
    this.kind = kind;
  }
}

export function mustBe(condition: boolean, message: string): asserts condition {
  if (!condition) throw new StepFailure('check', message);
}

const shown = 400;

/** A value as a failure tells of it. */
export function briefly(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > shown ? `${text.slice(0, shown)}…` : text;
}
