import {randomBytes} from 'node:crypto';

/** A secret nobody can guess: 256 random bits, in letters that need no quoting in a shell, a URL or a file. */
export function makeSecret(): string {
  return randomBytes(32).toString('base64url');
}

/** As RFC 7518 demands it of a key for HS256. */
export const shortestSecretBytes = 32;

/** Secrets of documentation, templates and habit, in lower case. Whoever knows them can sign. */
export const sampleSecrets: readonly string[] = [
  'secret',
  'secretkey',
  'secret-key',
  'secret_key',
  'mysecret',
  'my-secret',
  'my_secret',
  'supersecret',
  'super-secret',
  'topsecret',
  'jwt_secret',
  'jwt-secret',
  'your-secret',
  'your-secret-key',
  'your_secret_key',
  'your-256-bit-secret',
  'your-384-bit-secret',
  'your-512-bit-secret',
  'a-string-secret-at-least-256-bits-long',
  'a-string-secret-at-least-512-bits-long-which-is-very-long-for-this-reason',
  'a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long',
  'bbe7d157-a253-4094-9759-06a8236543f9',
  'd7627bb6-2292-4911-82e1-615c0ed3eebb',
  'keep it secret, keep it safe',
  'keyboard cat',
  'shhhhh',
  'gutentag',
  'changeme',
  'change-me',
  'change_me',
  'changeit',
  'replace-me',
  'replaceme',
  'password',
  'passw0rd',
  'qwerty',
  'letmein',
  'admin',
  'default',
  'test',
  'token',
  'example',
  'insecure',
  'development',
  'abcdefghijklmnopqrstuvwxyz123456',
  'abcdefghijklmnopqrstuvwxyz012345',
  'thisisasecretkey',
  'this-is-a-secret-key',
  'this_is_a_secret_key',
];

/** What Django writes before a secret that it made for development. */
const insecurePrefix = 'django-insecure-';
const fewestLetters = 8;

/** What makes a secret easy to guess, as the rest of a sentence about it; undefined when nothing is known to. */
export function weaknessOf(secret: string): string | undefined {
  const plain = secret.trim().toLowerCase();
  if (sampleSecrets.includes(plain)) return 'is printed in documentation or is a usual word';
  if (plain.startsWith(insecurePrefix)) return `begins with ${insecurePrefix}, which marks it as made for development`;
  const unit = repeatedUnit(plain);
  if (unit !== undefined) return 'is a shorter text again and again';
  if (isRow(plain)) return 'is letters or digits in a row';
  if (Buffer.byteLength(secret) < shortestSecretBytes) return `is shorter than ${shortestSecretBytes} bytes`;
  if (new Set(plain).size < fewestLetters) return `has fewer than ${fewestLetters} different characters`;
  return undefined;
}

/** `ab` of `ababa`: the text that begins again before half of the whole is over. */
function repeatedUnit(text: string): string | undefined {
  for (let length = 1; length <= text.length / 2; length++) {
    if (text.startsWith(text.slice(length))) return text.slice(0, length);
  }
  return undefined;
}

function isRow(text: string): boolean {
  const steps = [...text].slice(1).map((letter, i) => letter.charCodeAt(0) - text.charCodeAt(i));
  return text.length > 3 && steps.filter(step => step === 1).length >= steps.length * 0.8;
}
