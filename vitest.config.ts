// One run over every package's tests; a package may add a vitest.config.ts of its own.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    projects: ['packages/*', 'native/*', 'apps/*', 'scripts'],
  },
});
