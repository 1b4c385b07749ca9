/** Whether a page of this origin may connect. No origin is no browser, and may; an empty list lets no browser in. */
export function isAllowedOrigin(origin: string | undefined, allowed: readonly string[]): boolean {
  if (origin === undefined) return true;
  const lower = origin.toLowerCase();
  return allowed.some(pattern => toPattern(pattern.toLowerCase()).test(lower));
}

/** `*` stands for anything, dots too, as in Centrifugo. */
function toPattern(glob: string): RegExp {
  const escaped = glob.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*');
  return new RegExp(`^${escaped}$`);
}
