/** `actual` with each number that is within 1e-4 of `expected`'s replaced by it, so that toEqual shows what differs. */
export function near(actual: unknown, expected: unknown): unknown {
  if (typeof actual === 'number' && typeof expected === 'number') {
    return Math.abs(actual - expected) <= 1e-4 ? expected : actual;
  }
  if (Array.isArray(actual)) return actual.map((item, i) => near(item, (expected as unknown[])?.[i]));
  if (typeof actual !== 'object' || actual === null) return actual;
  return Object.fromEntries(
    Object.entries(actual).map(([key, item]) => [
      key,
      near(item, (expected as Record<string, unknown>)?.[key]),
    ]),
  );
}
