/**
 * The pattern of a glob: `*` for anything, dots and colons too, `?` for one character, `[a-z]` and `[!a-z]` for one of
 * them, `{a,b}` for either. Throws when it is none.
 */
export function globPattern(glob: string): RegExp {
  let isInSet = false;
  const parts = Array.from(glob, sign => {
    if (isInSet) {
      if (sign === ']') isInSet = false;
      return sign === '!' ? '^' : sign === '\\' ? '\\\\' : sign;
    }
    if (sign === '[') isInSet = true;
    return meanings[sign] ?? sign.replace(/[.+^$()|\]\\]/, '\\$&');
  });
  return new RegExp(`^${parts.join('')}$`, 's');
}

const meanings: Record<string, string> = {'*': '.*', '?': '.', '[': '[', '{': '(?:', '}': ')', ',': '|'};
