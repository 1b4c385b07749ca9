// Lines that are printed to be pasted into a shell.

/** A word as a shell takes it for one. */
export function quotedWord(word: string): string {
  return /^[\w./=:@+-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

/** What is acted on may be called as a flag is: it stands behind `--` then, and every flag before. */
export function commandLine(
  command: readonly string[],
  args: readonly string[] = [],
  flags: readonly string[] = [],
): string {
  const likeFlags = args.some(word => /^-./.test(word));
  const words = likeFlags ? [...command, ...flags, '--', ...args] : [...command, ...args, ...flags];
  return words.map(quotedWord).join(' ');
}
