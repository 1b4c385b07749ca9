import {randomBytes} from 'node:crypto';

/** A secret nobody can guess: 256 random bits, in letters that need no quoting in a shell, a URL or a file. */
export function makeSecret(): string {
  return randomBytes(32).toString('base64url');
}
