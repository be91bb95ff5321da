import { defineConfig } from 'vitest/config';

// By itself, so that building needs no test runner; what is tested here is plain TypeScript.
export default defineConfig({
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
});
