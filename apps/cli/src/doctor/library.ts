// A check for a shared library.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Check } from './check.ts';

const LIBRARY_FOLDERS = [
  '/usr/lib/x86_64-linux-gnu',
  '/usr/lib/aarch64-linux-gnu',
  '/usr/lib64',
  '/usr/lib/wsl/lib',
  '/usr/local/cuda/lib64',
];

/** Looks for a shared library where the loader would, without loading it. */
export function checkLibrary(name: string, pattern: RegExp, fix: string): Check {
  const folders = [...(process.env['LD_LIBRARY_PATH'] ?? '').split(':'), ...LIBRARY_FOLDERS];
  for (const folder of folders) {
    if (folder === '' || !existsSync(folder)) continue;
    const file = readdirSync(folder).find((entry) => pattern.test(entry));
    if (file !== undefined)
      return { name, required: false, state: 'ok', detail: join(folder, file) };
  }
  return { name, required: false, state: 'missing', detail: 'not in the library folders', fix };
}
