// Takes secrets out of text that somebody may read: log lines, and errors that nobody foresaw. A `Secret` of the settings
// never prints in the first place; this catches what comes by other ways, such as a header or an address in an error.

const hidden = '[secret]';
const names =
  'authorization|proxy-authorization|cookie|set-cookie|x-api-key|api_?key|[\\w-]*token|[\\w-]*password|[\\w-]*secret';

const shapes: readonly [RegExp, string][] = [
  // A JWT, or what is left of one: its first part is JSON and begins so in base64.
  [/\bey[JA][\w-]{6,}(?:\.[\w-]*)*/g, hidden],
  [/\b(bearer|basic) +[^\s"'\\,;]+/gi, `$1 ${hidden}`],
  // A JSON field, also inside a string of JSON.
  [new RegExp(`("(?:${names})"\\s*:\\s*")(?:[^"\\\\]|\\\\.)*`, 'gi'), `$1${hidden}`],
  [new RegExp(`(\\\\"(?:${names})\\\\"\\s*:\\s*\\\\")[^"\\\\]*`, 'gi'), `$1${hidden}`],
  // A header line, and a parameter or assignment.
  [/\b((?:proxy-)?authorization|(?:set-)?cookie|x-api-key)(\s*:\s*)[^\r\n"\\]+/gi, `$1$2${hidden}`],
  [/((?:token|password|secret|api_?key)=)[^\s&"'\\]+/gi, `$1${hidden}`],
];

/** What may be an address, to its end: looked at once, however often one begins in it. */
const address = /:\/\/[^\s"'\\]*/g;
/** The password in it. Up to the last @, because people forget to encode those in it. */
const passwordInAddress = /(:\/\/[^\s:@/]*):.*@/;

function hidePassword(text: string): string {
  return text.includes('@') ? text.replace(passwordInAddress, `$1:${hidden}@`) : text;
}

/** Most lines hold nothing of the kind, and this look at them is all that they cost. */
const suspicious = /ey[JA]|:\/\/|bearer|basic|token|passw|secret|cookie|api.?key|authoriz/i;

/**
 * The text with what looks like a secret taken out. A line of JSON stays one. Anybody may have a line written, so the time
 * that each look takes must not grow faster than the line: no shape begins with a repetition.
 */
export function hideSecrets(text: string): string {
  if (!suspicious.test(text)) return text;
  return shapes.reduce((safe, [shape, by]) => safe.replaceAll(shape, by), text.replaceAll(address, hidePassword));
}

/** A password in the address of a database may have anything in it, and its path nothing. */
const withPassword = [/^[a-z][a-z0-9+.-]*:\/\/[^\s/?#]*:[^\s/?#]+@/i, /^postgres(?:ql)?:\/\/[^\s/:]*:\S+@/i];

/** Whether a value is a JWT or an address with a password in it. */
export function looksSecret(value: string): boolean {
  const text = value.trim();
  return /^ey[JA][\w-]+\.[\w-]+\.[\w-]*$/.test(text) || withPassword.some(shape => shape.test(text));
}
