import { join } from 'node:path';
import { expect, test } from 'vitest';
import { configurationReference } from './reference.ts';

test('docs/configuration.md says what the schema says (update it with `vitest run -u`)', async () => {
  const page = join(import.meta.dirname, '../../../../docs/configuration.md');
  await expect(configurationReference()).toMatchFileSnapshot(page);
});
