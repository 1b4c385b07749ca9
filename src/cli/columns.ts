// Text by the columns that a terminal gives it. What knows them is loaded where something is laid out for a person only: it is a
// tenth of a short command.
import stringWidth from 'string-width';

type Rows = readonly (readonly string[])[];

/** Columns of equal width, two spaces apart, without borders. */
export function aligned(rows: Rows): string[] {
  return linesOf(rows, widthsOf(rows));
}

/** A text is not cut to less than this, and a column of more is no reason to give columns up: its end may stand below. */
const enough = 12;

/**
 * The same on a terminal of so many columns: of those that may be cut the widest are, to what fits. Undefined where rows
 * would go over two lines and more by the number of their columns alone.
 */
export function fitted(rows: Rows, columns: number, mayCut: readonly boolean[]): string[] | undefined {
  const widths = widthsOf(rows);
  const room = columns - 2 * (widths.length - 1);
  for (let limit = Math.max(...widths); limit >= enough; limit--) {
    const cutTo = widths.map((width, i) => (mayCut[i] ? Math.min(width, limit) : width));
    if (sum(cutTo) <= room) return linesOf(rows, cutTo);
  }
  return sum(widths.map(width => Math.min(width, enough))) <= room ? linesOf(rows, widths) : undefined;
}

function widthsOf(rows: Rows): number[] {
  return (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => stringWidth(row[column] ?? ''))));
}

function linesOf(rows: Rows, widths: readonly number[]): string[] {
  return rows.map(row =>
    row
      .map((cell, column) => padded(cell, widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

function padded(cell: string, width: number): string {
  const text = stringWidth(cell) <= width ? cell : `${cut(cell, width - 1)}…`;
  return text + ' '.repeat(width - stringWidth(text));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

/** The beginning that fits into so many columns; wide characters count twice. */
export function cut(text: string, columns: number): string {
  if (stringWidth(text) <= columns) return text;
  let kept = '';
  for (const {segment} of new Intl.Segmenter().segment(text)) {
    if (stringWidth(kept + segment) > columns) break;
    kept += segment;
  }
  return kept;
}
