import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { MetricsLog } from './metrics-log.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'metrics-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

describe('MetricsLog', () => {
  test('cuts back to where the checkpoint was taken and goes on from there', () => {
    const path = join(folder, 'a', 'metrics.jsonl');
    const log = new MetricsLog(path, 0);
    log.write({ step: 1, name: 'ü' });
    const bytes = log.sync();
    log.write({ step: 2 });
    log.close();
    const resumed = new MetricsLog(path, bytes);
    resumed.write({ step: 2, again: 1 });
    resumed.close();
    expect(readFileSync(path, 'utf8')).toBe('{"step":1,"name":"ü"}\n{"step":2,"again":1}\n');
  });

  test('refuses a file that lost rows, and values that JSON cannot hold', () => {
    const path = join(folder, 'metrics.jsonl');
    expect(() => new MetricsLog(path, 10)).toThrow(/at least 10 bytes.*received 0/);
    const log = new MetricsLog(path, 0);
    expect(() => log.write({ 'actor/entropy': Number.NaN })).toThrow(
      /actor\/entropy, received NaN/,
    );
    log.close();
  });
});
