/** `actual` with each number that is close to `expected`'s replaced by it, so that toEqual shows what differs. */
export function near(actual: unknown, expected: unknown, tolerance = 1e-4): unknown {
  if (typeof actual === 'number' && typeof expected === 'number') {
    return Math.abs(actual - expected) <= tolerance ? expected : actual;
  }
  if (Array.isArray(actual))
    return actual.map((item, i) => near(item, (expected as unknown[])?.[i], tolerance));
  if (typeof actual !== 'object' || actual === null) return actual;
  return Object.fromEntries(
    Object.entries(actual).map(([key, item]) => [
      key,
      near(item, (expected as Record<string, unknown>)?.[key], tolerance),
    ]),
  );
}
