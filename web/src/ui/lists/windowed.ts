/** How many rows a stretch has: whole lines of a grid with 1, 2, 3, 4, 6 or 8 columns. */
export const STRETCH = 48;

/** Cut a list into stretches of `STRETCH`, the last one shorter. */
export function stretches<T>(items: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(items.length / STRETCH) }, (_, place) =>
    items.slice(place * STRETCH, (place + 1) * STRETCH),
  );
}
