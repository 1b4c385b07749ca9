/** A word as a shell takes it for one. */
export function quotedWord(word: string): string {
  return /^[\w./=:@+-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

export function commandLine(words: readonly string[]): string {
  return words.map(quotedWord).join(' ');
}
