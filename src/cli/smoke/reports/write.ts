// Where the reports of a smoke run go: to files, or one of them to stdout when no other data goes there.
import {writeFileSync} from 'node:fs';
import {dirname, resolve} from 'node:path';
import {InvalidArgumentError} from 'commander';
import {ChatError} from '../../../core/errors.ts';
import type {Cli} from '../../context.ts';
import {jsonLine} from '../../text.ts';
import {notWritable} from '../../writable.ts';
import {makeFolder} from '../../../db/folders.ts';
import type {Run} from '../step.ts';
import {junitReport} from './junit.ts';
import {tapReport} from './tap.ts';

const formats = {tap: tapReport, junit: junitReport, json: (run: Run) => `${jsonLine(documentOf(run))}\n`};
type Format = keyof typeof formats;

export interface Report {
  format: Format;
  /** Undefined is stdout. */
  path: string | undefined;
}

/** `junit=smoke.xml`, collected. */
export function report(text: string, before: Report[] = []): Report[] {
  const [, format = '', path] = /^([a-z]+)(?:=(.+))?$/.exec(text) ?? [];
  if (!Object.hasOwn(formats, format)) {
    throw new InvalidArgumentError('It must be tap, junit or json, and may have a file: junit=smoke.xml.');
  }
  return [...before, {format: format as Format, path: path === '-' ? undefined : path}];
}

/** The document of `--json`. */
export function documentOf({name, results, exitCode}: Run) {
  const count = (ok: boolean | null) => results.filter(result => result.ok === ok).length;
  return {
    ok: exitCode === 0,
    name,
    passed: count(true),
    failed: count(false),
    skipped: count(null),
    exit_code: exitCode,
    steps: results,
  };
}

/** Whether a report takes stdout. Throws when stdout would hold two things; makes the folders of the files. */
export function prepareReports(cli: Cli, reports: readonly Report[]): boolean {
  const onStdout = reports.filter(({path}) => path === undefined);
  const {json, output} = cli.globals;
  if (onStdout.length > 1 || (onStdout.length === 1 && (json || output !== undefined))) {
    throw new ChatError('invalid_input', 'Two things cannot go to stdout at once.', {
      hint: 'Give a report its file, for example --report junit=smoke.xml',
    });
  }
  for (const {path} of reports) if (path !== undefined) writeOrSay(cli, path, '');
  return onStdout.length > 0;
}

export function writeReports(cli: Cli, reports: readonly Report[], run: Run): void {
  for (const {format, path} of reports) {
    const text = formats[format](run);
    if (path === undefined) cli.io.stdout.write(text);
    else writeOrSay(cli, path, text);
  }
}

function writeOrSay(cli: Cli, path: string, text: string): void {
  const file = resolve(cli.io.cwd, path);
  try {
    makeFolder(dirname(file));
    writeFileSync(file, text);
  } catch (cause) {
    throw notWritable(file, cause);
  }
}
