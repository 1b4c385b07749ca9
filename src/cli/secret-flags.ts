// A secret in the arguments stands in the list of processes and in the shell's history. No flag takes one, and where
// one is given all the same it is refused, with the ways that are safe.
import {ChatError} from '../core/errors.ts';
import {looksSecret} from '../core/redact.ts';

const advice =
  'Secrets are never given as flags, because every user of this machine can see them. Set the variable in the ' +
  'environment, or <NAME>_FILE to a file, or put it into .env or .chatctl/config.json.';

/** Throws when the value of a flag is a token or an address with a password in it. */
export function mustHideSecrets(options: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(options)) {
    if (typeof value !== 'string' || !looksSecret(value)) continue;
    const flag = `--${name.replaceAll(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`;
    throw new ChatError('invalid_input', `The value of ${flag} holds a secret.`, {
      hint:
        flag === '--db'
          ? `${advice} The variable is DATABASE_URL; or leave the password out and set PGPASSWORD.`
          : advice,
    });
  }
}

/** commander's message without what stood behind the `=` of a flag. */
export function withoutValue(message: string): string {
  return message.replaceAll(/('--?[\w-]+)=[^']*'/g, "$1'");
}

/** What to say to somebody who tried to hand over a secret by a flag of their own making. */
export function secretAdvice(code: string, message: string): string | undefined {
  const asked = code === 'commander.unknownOption' && /secret|passw|token|api-?key|jwt|credential/i.test(message);
  return asked ? advice : undefined;
}
