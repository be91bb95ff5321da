import { expect, it, vi } from 'vitest';

// The first formatter of a page takes a browser many milliseconds, and every page loads all words.
it.each(['en', 'de'])('%s makes no formatter of numbers before one is shown', async (language) => {
  const made = vi.spyOn(Intl, 'NumberFormat');
  await import(`./${language}/index.ts`);
  expect(made).not.toHaveBeenCalled();
});
