// What a run must have in common with its checkpoint to resume from it.
import { createHash } from 'node:crypto';
import { ConfigError } from '@masksearch/core';
import type { TrainingExample } from '../packing.ts';

/** Settings and data hashes by name, as plain values. */
export type Fingerprint = Readonly<Record<string, string | number | boolean>>;

/**
 * @throws {ConfigError} naming every entry that differs, with both values.
 */
export function checkFingerprint(where: string, saved: Fingerprint, current: Fingerprint): void {
  const names = [...new Set([...Object.keys(saved), ...Object.keys(current)])].sort();
  const differences = names
    .filter((name) => saved[name] !== current[name])
    .map((name) => `${name} was ${saved[name] ?? 'absent'}, is ${current[name] ?? 'absent'}`);
  if (differences.length === 0) return;
  throw new ConfigError(
    `${where}: expected the settings and data that the run was started with, received others: ${differences.join('; ')}. Restore them, or start a new run in another folder.`,
    { data: { differences } },
  );
}

/** Flattens nested settings: `{clip: {low: 0.2}}` gives `clip.low`. Absent values are left out. */
export function flattenSettings(settings: object, prefix = ''): Fingerprint {
  const flat: Record<string, string | number | boolean> = {};
  for (const [key, value] of Object.entries(settings) as [string, unknown][]) {
    const name = `${prefix}${key}`;
    if (typeof value === 'object' && value !== null) {
      Object.assign(flat, flattenSettings(value, `${name}.`));
    } else if (
      typeof value === 'string' ||
      typeof value === 'number' ||
      typeof value === 'boolean'
    ) {
      flat[name] = value;
    }
  }
  return flat;
}

/** sha256 over ids and masks, in order. */
export function hashExamples(examples: Iterable<TrainingExample>): string {
  const hash = createHash('sha256');
  for (const { ids, mask } of examples) {
    hash.update(Int32Array.of(ids.length));
    hash.update(Int32Array.from(ids));
    hash.update(Uint8Array.from(mask));
  }
  return hash.digest('hex');
}

/** sha256 over records as JSON, in order. */
export function hashRecords(records: Iterable<unknown>): string {
  const hash = createHash('sha256');
  for (const record of records) hash.update(`${JSON.stringify(record)}\n`);
  return hash.digest('hex');
}

/** sha256 over the first `steps` values of a function of the step. */
export function hashValues(valueOf: (step: number) => number, steps: number): string {
  const values = Float64Array.from({ length: steps }, (_, step) => valueOf(step));
  return createHash('sha256').update(values).digest('hex');
}
