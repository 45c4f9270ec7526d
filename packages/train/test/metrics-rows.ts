// Reads a metrics file back, without what the clock says.
import { readFileSync } from 'node:fs';
import type { MetricsRow } from '../src/index.ts';

export function readRows(path: string): MetricsRow[] {
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line) as MetricsRow);
}

/** Rows without wall-clock columns, which differ between runs. */
export function readReproducibleRows(path: string): MetricsRow[] {
  return readRows(path).map((row) =>
    Object.fromEntries(Object.entries(row).filter(([name]) => !/^(timing_s|perf)\//.test(name))),
  );
}
