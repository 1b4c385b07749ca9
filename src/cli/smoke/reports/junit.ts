// JUnit's XML, as CI servers read it. What was checked and is not so is a failure; what could not be checked an error.
import {exits} from '../../exit.ts';
import type {Run, StepResult} from '../step.ts';

export function junitReport({name, startedAt, ms, results}: Run): string {
  const count = (holds: (each: StepResult) => boolean) => results.filter(holds).length;
  const counts = {
    tests: results.length,
    failures: count(each => each.ok === false && isFailure(each)),
    errors: count(each => each.ok === false && !isFailure(each)),
    skipped: count(each => each.ok === null),
    time: seconds(ms),
  };
  const suite = {name, ...counts, timestamp: startedAt.toISOString().slice(0, 19)};
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites${attributes({name: 'chatctl smoke', ...counts})}>`,
    `  <testsuite${attributes(suite)}>`,
    ...results.flatMap(each => caseOf(each, name)),
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

function isFailure({exit_code}: StepResult): boolean {
  return exit_code === exits.checkFailed || exit_code === exits.timeout;
}

function caseOf(result: StepResult, suite: string): string[] {
  const {id, about, ok, ms, error, exit_code} = result;
  const open = `    <testcase${attributes({name: `${id}: ${about}`, classname: suite, time: seconds(ms)})}`;
  if (ok) return [`${open}/>`];
  if (ok === null) return [`${open}>`, '      <skipped message="what it needs did not pass"/>', '    </testcase>'];
  const tag = isFailure(result) ? 'failure' : 'error';
  const message = error ?? '';
  return [
    `${open}>`,
    `      <${tag}${attributes({message, type: `exit ${exit_code}`})}>${escaped(message)}</${tag}>`,
    '    </testcase>',
  ];
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(3);
}

function attributes(values: Record<string, string | number>): string {
  return Object.entries(values)
    .map(([name, value]) => ` ${name}="${escaped(String(value)).replaceAll('\n', '&#10;')}"`)
    .join('');
}

const entities: Record<string, string> = {'&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;'};

/** XML 1.0 cannot hold most control characters, nor halves of a pair, in any spelling. */
function escaped(text: string): string {
  return (
    text
      .toWellFormed()
      // eslint-disable-next-line no-control-regex
      .replaceAll(/[\u0000-\u0008\u000B\u000C\u000E-\u001F\uFFFE\uFFFF]/g, '\uFFFD')
      .replaceAll(/[&<>"]/g, character => entities[character] ?? '')
  );
}
