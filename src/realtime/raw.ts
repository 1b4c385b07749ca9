// Finds the text of single values in JSON, so that data goes on as it came: no number rounded, no key moved.
// The JSON was parsed before, so that it is known to be right.

const quote = 34;
const backslash = 92;

/** The text of a field of this object, the last one when it occurs twice. */
export function rawField(json: string, name: string): string | undefined {
  return rawEntries(json).findLast(({key}) => key === name)?.text;
}

/** The fields of an object, or the items of an array, as text. */
export function rawEntries(json: string): {key: string | undefined; text: string}[] {
  const entries: {key: string | undefined; text: string}[] = [];
  const isObject = json.trimStart().startsWith('{');
  let at = skip(json, json.indexOf(isObject ? '{' : '[') + 1);
  while (at < json.length && json[at] !== '}' && json[at] !== ']') {
    let key: string | undefined;
    if (isObject) {
      const end = endOfString(json, at);
      key = String(JSON.parse(json.slice(at, end)));
      at = skip(json, end);
    }
    const end = endOfValue(json, at);
    entries.push({key, text: json.slice(at, end)});
    at = skip(json, end);
  }
  return entries;
}

/** Past space and what stands between values. */
function skip(json: string, from: number): number {
  let at = from;
  while (at < json.length && ' \t\r\n,:'.includes(json.charAt(at))) at++;
  return at;
}

function endOfString(json: string, from: number): number {
  let at = from + 1;
  while (at < json.length && json.charCodeAt(at) !== quote) at += json.charCodeAt(at) === backslash ? 2 : 1;
  return at + 1;
}

function endOfValue(json: string, from: number): number {
  let depth = 0;
  let at = from;
  do {
    const sign = json.charAt(at);
    if (sign === '"') at = endOfString(json, at);
    else if (sign === '{' || sign === '[') [depth, at] = [depth + 1, at + 1];
    else if (sign === '}' || sign === ']') [depth, at] = [depth - 1, at + 1];
    else if (depth > 0) at++;
    else at = endOfLiteral(json, at);
  } while (depth > 0 && at < json.length);
  return at;
}

function endOfLiteral(json: string, from: number): number {
  let at = from;
  while (at < json.length && !' \t\r\n,]}'.includes(json.charAt(at))) at++;
  return at;
}
