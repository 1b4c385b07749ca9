/** Makes control characters visible: a name or message must not steer the terminal that shows it. */
export function visible(text: string): string {
  return text.replaceAll(
    // eslint-disable-next-line no-control-regex
    /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u200E\u200F\u202A-\u202E\u2066-\u2069]/g,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** One line of JSON, with what could steer a terminal written as an escape; JSON itself escapes only some of it. */
export function jsonLine(value: unknown): string {
  return visible(JSON.stringify(value));
}

/** The same on one line of a table or a tab separated row. */
export function inCell(text: string): string {
  return visible(text).replaceAll('\n', '\\n').replaceAll('\t', '\\t');
}

/** A row of `-o plain`. */
export function tabbed(cells: readonly string[]): string {
  return cells.map(inCell).join('\t');
}

/** `48,211`. Node's own way reads 15 ms of language data at its first number, and a command is told in less than that. */
export function figure(value: number): string {
  return String(Math.round(value)).replaceAll(/\B(?=(?:\d{3})+$)/g, ',');
}

const units: [number, string][] = [
  [86_400, 'd'],
  [3_600, 'h'],
  [60, 'min'],
];

/** `3 min ago`, for a person. */
export function ago(time: string, now: number): string {
  const seconds = Math.round((now - Date.parse(time)) / 1_000);
  const unit = units.find(([size]) => Math.abs(seconds) >= size);
  const amount = unit ? `${Math.floor(Math.abs(seconds) / unit[0])} ${unit[1]}` : `${Math.abs(seconds)} s`;
  return seconds >= 0 ? `${amount} ago` : `in ${amount}`;
}
