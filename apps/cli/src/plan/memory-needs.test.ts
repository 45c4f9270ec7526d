import { qwen25HalfBillion } from '@masksearch/model/conformance';
import { describe, expect, test } from 'vitest';
import { formatNeeds } from './format-needs.ts';
import { memoryNeeds, type NeedsQuestion } from './memory-needs.ts';

const GB = 1e9;
const question: NeedsQuestion = {
  config: qwen25HalfBillion,
  sequenceTokens: [48],
  microBatchTokens: 48,
  concurrency: 1,
  rank: 8,
  threads: 2,
  dtype: 'float32',
  memoryBytes: 24 * GB,
};

describe('memoryNeeds', () => {
  // Peak resident memory of one step, bench/results/models.jsonl.
  test.each([
    ['full', 'float32', 12.378],
    ['lora', 'float32', 6.545],
    ['full', 'bfloat16', 10.355],
    ['lora', 'bfloat16', 4.577],
  ] as const)(
    'is within 10 %% of what a %s step in %s of the 0.5B shape takes',
    (mode, dtype, measured) => {
      const need = memoryNeeds({ ...question, dtype }).find((other) => other.mode === mode);
      expect((need?.totalBytes ?? 0) / GB / measured).toBeGreaterThan(0.9);
      expect((need?.totalBytes ?? 0) / GB / measured).toBeLessThan(1.1);
    },
  );

  test('grows with the sequence, and finds the largest settings that fit', () => {
    const needs = memoryNeeds({
      ...question,
      sequenceTokens: [1024, 4096],
      microBatchTokens: 8192,
      concurrency: 256,
      memoryBytes: 18 * GB,
    });
    expect(needs.map(({ mode, sequenceTokens }) => [sequenceTokens, mode])).toEqual([
      [1024, 'full'],
      [1024, 'lora'],
      [4096, 'full'],
      [4096, 'lora'],
    ]);
    const [short, adapter, long] = needs;
    expect(short?.fits).toBe(false);
    expect(adapter?.totalBytes).toBeLessThan(short?.totalBytes ?? 0);
    expect(long?.totalBytes).toBeGreaterThan(short?.totalBytes ?? 0);
    const { concurrency = 0, microBatchTokens = 0 } = short?.fitting ?? {};
    const settings = { ...question, sequenceTokens: [1024], memoryBytes: 18 * GB };
    const at = (episodes: number) =>
      memoryNeeds({ ...settings, concurrency: episodes, microBatchTokens })[0]?.fits;
    expect([at(concurrency), at(2 * concurrency)]).toEqual([true, false]);
  });

  test('in bfloat16 it is less', () => {
    const [wide] = memoryNeeds(question);
    const [narrow] = memoryNeeds({ ...question, dtype: 'bfloat16' });
    expect(narrow?.totalBytes).toBeLessThan(0.85 * (wide?.totalBytes ?? 0));
  });

  test('on a GPU it is 16 bytes a parameter and what the rest has room for', () => {
    const gpu = { ...question, dtype: 'bfloat16', device: 'cuda' } as const;
    const [full, lora] = memoryNeeds({ ...gpu, memoryBytes: 40 * GB });
    const parameters = 494_032_768;
    expect(full?.plan).toMatchObject({
      weights: 2 * parameters,
      gradients: 4 * parameters,
      moments: 10 * parameters,
      packed: 0,
    });
    expect([full?.fits, lora?.fits]).toEqual([true, true]);
    const [tightFull, tightLora] = memoryNeeds({ ...gpu, memoryBytes: 6 * GB });
    expect([tightFull?.fits, tightLora?.fits]).toEqual([false, true]);
    // With less memory, layers keep less and compute more again.
    const long = { ...gpu, sequenceTokens: [16384], microBatchTokens: 16384 };
    const totals = [40, 16].map((gigabytes) => {
      const [need] = memoryNeeds({ ...long, memoryBytes: gigabytes * GB });
      return { fits: need?.fits, total: need?.totalBytes ?? 0 };
    });
    expect(totals.map(({ fits }) => fits)).toEqual([true, true]);
    expect(totals[1]?.total).toBeLessThan(0.8 * (totals[0]?.total ?? 0));
  });

  test('says so where nothing makes it fit', () => {
    const [need] = memoryNeeds({ ...question, memoryBytes: GB });
    expect(need).toMatchObject({ fits: false, fitting: null });
  });
});

test('formatNeeds shows every part in GiB and the flags that make it fit', () => {
  const memoryBytes = 18 * GB;
  const asked = { ...question, sequenceTokens: [1024], concurrency: 256, memoryBytes };
  const [head, , full, lora] = formatNeeds(memoryNeeds(asked), memoryBytes).split('\n');
  expect(head).toBe('GiB of 16.76');
  expect(full).toMatch(
    /^ +1024 +full +1\.84 +1\.84 +3\.68 .*fits with --rl\.concurrency \d+ --sft/,
  );
  expect(lora).toMatch(/ +lora +1\.86 +0\.02 +0\.03 .* {2}fits$/);
});
