// Simulates a process that dies at its n-th file-system call: that call and all later ones fail, so
// that no clean-up code gets to run either. A dying write leaves half of its bytes.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const CALLS = [
  'openSync',
  'writeSync',
  'fsyncSync',
  'closeSync',
  'renameSync',
  'rmSync',
  'mkdirSync',
  'ftruncateSync',
] as const;
type CallName = (typeof CALLS)[number];

export class Crash extends Error {}

/**
 * Runs `body` and dies at file-system call number `deadline` (from 1).
 * @returns How many calls were made; less than `deadline` means that it did not die.
 */
export async function runUntilCall(
  deadline: number,
  body: () => Promise<unknown>,
): Promise<number> {
  const originals = new Map<CallName, unknown>(CALLS.map((name) => [name, fs[name]]));
  let calls = 0;
  for (const name of CALLS) {
    const original = fs[name] as (...args: unknown[]) => unknown;
    Object.assign(fs, {
      [name]: (...args: unknown[]) => {
        calls++;
        if (calls === deadline && name === 'writeSync') writeHalf(original, args);
        if (calls >= deadline) throw new Crash(`${name} at call ${calls}`);
        return name === 'fsyncSync' ? undefined : original(...args); // power stays on: no need to wait
      },
    });
  }
  syncBuiltinESMExports();
  try {
    await body();
  } catch (error) {
    if (calls < deadline) throw error;
  } finally {
    for (const [name, original] of originals) Object.assign(fs, { [name]: original });
    syncBuiltinESMExports();
  }
  return calls;
}

function writeHalf(write: (...args: unknown[]) => unknown, args: readonly unknown[]): void {
  const [descriptor, data, offset = 0] = args;
  const bytes = typeof data === 'string' ? Buffer.from(data) : (data as Uint8Array);
  write(descriptor, bytes, offset, Math.floor((bytes.length - Number(offset)) / 2));
}
