import type {ExecutionContext} from 'ava';

/** Holds every error in what was said on stderr to its third part, what to do next. Notes are no errors. */
export function mustTellNext(t: ExecutionContext, stderr: string): void {
  for (const line of stderr.split('\n').filter(each => each.startsWith('{"error":'))) {
    const {error} = JSON.parse(line) as {error: {hint: string | null}};
    t.truthy(error.hint, line);
  }
  if (/^Error: /m.test(stderr)) t.regex(stderr, /^Error: .*\n./m, stderr);
}
