// TAP version 14: https://testanything.org/tap-version-14-specification.html
import type {Run, StepResult} from '../step.ts';

export function tapReport({results}: Run): string {
  const lines = ['TAP version 14', `1..${results.length}`, ...results.flatMap((each, i) => pointOf(each, i + 1))];
  return `${lines.join('\n')}\n`;
}

function pointOf({id, about, ok, ms, error, exit_code}: StepResult, number: number): string[] {
  const title = `${number} - ${escaped(`${id}: ${about}`)}`;
  if (ok === null) return [`ok ${title} # SKIP what it needs did not pass`];
  const head = `${ok ? 'ok' : 'not ok'} ${title}`;
  const details: [string, unknown][] = [
    ['duration_ms', ms],
    ...(ok
      ? []
      : ([
          ['message', error],
          ['exit_code', exit_code],
        ] satisfies [string, unknown][])),
  ];
  // JSON is YAML.
  return [head, '  ---', ...details.map(([key, value]) => `  ${key}: ${JSON.stringify(value)}`), '  ...'];
}

/** `#` begins a directive, and a line is a line. */
function escaped(text: string): string {
  return text.replaceAll(/[\\#]/g, String.raw`\$&`).replaceAll(/\s+/g, ' ');
}
