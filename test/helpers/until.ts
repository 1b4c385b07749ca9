/** Waits until the condition gives something other than undefined or false, looking every few milliseconds. */
export async function until<T>(
  condition: () => T | Promise<T>,
  what: string,
  limitMs = 30_000,
): Promise<NonNullable<T>> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== null && value !== false) return value;
    if (performance.now() > deadline) throw new Error(`waited ${limitMs} ms in vain for: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 5));
  }
}
