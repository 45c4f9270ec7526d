import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RandomStream } from '@masksearch/core';
import { BigramModel } from '../../test/bigram-model.ts';
import { readReproducibleRows, readRows } from '../../test/metrics-rows.ts';
import type { TrainingExample } from '../packing.ts';
import type { MetricsRow } from '../run/metrics-log.ts';
import { constantSchedule, cosineSchedule } from '../schedule.ts';
import { sft, type SftOptions } from './sft.ts';

const V = 8;

/** Sequences in which token v is always followed by v + 1; of 3 to 9 tokens, the first two a prompt. */
function countingExamples(count: number, seed: number): TrainingExample[] {
  const random = new RandomStream(seed, 'counting');
  return Array.from({ length: count }, () => {
    const length = 3 + random.below(7);
    const first = random.below(V);
    return {
      ids: Array.from({ length }, (_, t) => (first + t) % V),
      mask: Array.from({ length }, (_, t) => (t < 2 ? 0 : 1)),
    };
  });
}

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sft-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

function optionsFor(model: BigramModel, more: Partial<SftOptions> = {}): SftOptions {
  return {
    model,
    phases: [{ name: 'counting', examples: countingExamples(20, 1), steps: 12 }],
    batchTokens: 40,
    microBatchTokens: 16,
    seed: 7,
    schedule: cosineSchedule({ peak: 0.1, warmUpSteps: 3 }),
    adamW: { maxGradientNorm: 1 },
    checkpoints: { folder: join(folder, 'checkpoints'), everySteps: 5 },
    metrics: join(folder, 'metrics.jsonl'),
    ...more,
  };
}

const rowsOf = (): MetricsRow[] => readRows(join(folder, 'metrics.jsonl'));

async function weightsOf(model: BigramModel): Promise<Float32Array> {
  return (await model.weights())[0]?.data ?? new Float32Array();
}

describe('sft', { timeout: 30_000 }, () => {
  test('learns what follows what', async () => {
    const model = new BigramModel(V);
    const result = await sft(
      optionsFor(model, {
        phases: [{ name: 'counting', examples: countingExamples(20, 1), steps: 120 }],
        schedule: constantSchedule(0.1),
      }),
    );
    expect(result).toMatchObject({ steps: 120, totalSteps: 120, skippedSteps: 0, stopped: false });
    const rows = rowsOf();
    expect(rows[0]?.['train/loss']).toBeCloseTo(Math.log(V), 5); // all tokens equally likely
    expect(rows.at(-1)?.['train/loss']).toBeLessThan(0.05);
    expect(Math.exp(model.logProbsAfter(3)[4] as number)).toBeGreaterThan(0.95);
  });

  test('gives the same weights for any size of micro-batch (1×8 = 8×1 = packed, ragged lengths)', async () => {
    const weights: Float32Array[] = [];
    for (const microBatchTokens of [9, 16, 40, 1000]) {
      const model = new BigramModel(V);
      const { checkpoints: _, metrics: __, ...options } = optionsFor(model, { microBatchTokens });
      await sft(options);
      weights.push(await weightsOf(model));
    }
    // Gradients are float64 sums whose order differs; updates are rounded to float32.
    for (const other of weights.slice(1)) {
      weights[0]?.forEach((w, i) => expect(other[i]).toBeCloseTo(w, 6));
    }
  });

  test('a run that stopped on a signal resumes to the weights and metrics of an uninterrupted one', async () => {
    const whole = new BigramModel(V);
    await sft(optionsFor(whole));
    const wholeRows = readReproducibleRows(join(folder, 'metrics.jsonl'));
    rmSync(folder, { recursive: true });

    const stopper = new AbortController();
    const first = await sft(
      optionsFor(new BigramModel(V), {
        signal: stopper.signal,
        onStep: (row) => (row['step'] === 7 ? stopper.abort() : undefined),
      }),
    );
    expect(first).toMatchObject({ steps: 7, stopped: true });
    const resumed = new BigramModel(V);
    const second = await sft(optionsFor(resumed));
    expect(second).toMatchObject({ steps: 12, stopped: false });
    expect(await weightsOf(resumed)).toEqual(await weightsOf(whole));
    expect(readReproducibleRows(join(folder, 'metrics.jsonl'))).toEqual(wholeRows);
  });

  test('cuts metrics rows that are newer than the checkpoint', async () => {
    await sft(optionsFor(new BigramModel(V)));
    const rows = rowsOf().length;
    writeFileSync(join(folder, 'metrics.jsonl'), '{"step":13,"torn', { flag: 'a' });
    await sft(optionsFor(new BigramModel(V)));
    expect(rowsOf()).toHaveLength(rows);
  });

  test('keeps the latest checkpoints only', async () => {
    await sft(
      optionsFor(new BigramModel(V), {
        checkpoints: { folder: join(folder, 'checkpoints'), everySteps: 2, keep: 3 },
      }),
    );
    expect(readdirSync(join(folder, 'checkpoints')).sort()).toEqual([
      'step-000008',
      'step-000010',
      'step-000012',
    ]);
  });

  test('refuses to resume with other settings or other data, naming what differs', async () => {
    await sft(optionsFor(new BigramModel(V)));
    await expect(sft(optionsFor(new BigramModel(V), { batchTokens: 41 }))).rejects.toMatchObject({
      code: 'config',
      message: expect.stringContaining('batchTokens was 40, is 41') as string,
    });
    const other = [{ name: 'counting', examples: countingExamples(20, 2), steps: 12 }];
    await expect(sft(optionsFor(new BigramModel(V), { phases: other }))).rejects.toThrow(
      /phases\.0\.examples was .*, is /,
    );
    await expect(
      sft(optionsFor(new BigramModel(V), { schedule: constantSchedule(0.1) })),
    ).rejects.toThrow(/schedule was .*, is /);
  });

  test('skips optimizer and schedule when no token carries loss, and counts it', async () => {
    const model = new BigramModel(V);
    const silent = [{ ids: [1, 2, 3], mask: [0, 0, 0] }];
    const result = await sft(
      optionsFor(model, { phases: [{ name: 'silent', examples: silent, steps: 3 }] }),
    );
    expect(result).toMatchObject({ steps: 3, skippedSteps: 3 });
    expect(model.steps).toBe(0);
    expect(rowsOf().map((row) => row['train/lr'])).toEqual([0.1 / 3, 0.1 / 3, 0.1 / 3]);
  });

  test('runs phases in order, generated ones and mixed ones too', async () => {
    const repeat = (step: number): TrainingExample[] => [
      { ids: [step % V, 5, step % V, 5], mask: [0, 0, 1, 1] },
    ];
    const examples = countingExamples(20, 1);
    await sft(
      optionsFor(new BigramModel(V), {
        phases: [
          { name: 'copying', generate: repeat, steps: 2 },
          { name: 'mixed', examples, generate: repeat, generateEvery: 3, steps: 4 },
          { name: 'pass', examples, epochs: 1 },
          { name: 'rest', examples, tokens: 100 },
        ],
      }),
    );
    const rows = rowsOf();
    expect(
      rows.slice(0, 6).map((row) => [row['train/phase'], row['train/examples'] === 1]),
    ).toEqual([
      ['copying', true],
      ['copying', true],
      ['mixed', true],
      ['mixed', false],
      ['mixed', false],
      ['mixed', true],
    ]);
    const inPhase = (name: string): MetricsRow[] =>
      rows.filter((row) => row['train/phase'] === name);
    const sum = (name: string, column: string): number =>
      inPhase(name).reduce((total, row) => total + Number(row[column]), 0);
    expect(sum('pass', 'train/examples')).toBe(20);
    expect(sum('rest', 'train/tokens')).toBeGreaterThanOrEqual(100);
    expect(sum('rest', 'train/tokens')).toBeLessThan(100 + 40);
  });

  test('measures validation loss without training on it', async () => {
    const examples = countingExamples(10, 3);
    const trained = new BigramModel(V);
    await sft(optionsFor(trained, { validation: { examples, everySteps: 6 } }));
    const rows = rowsOf();
    expect(rows.filter((row) => 'val/loss' in row).map((row) => row['step'])).toEqual([6, 12]);
    rmSync(folder, { recursive: true });
    const plain = new BigramModel(V);
    await sft(optionsFor(plain));
    expect(await weightsOf(trained)).toEqual(await weightsOf(plain));
  });

  test.each([
    [{ batchTokens: 0 }, /batchTokens/],
    [{ microBatchTokens: 4 }, /expected sequences of at most 4 tokens.*raise microBatchTokens/],
    [
      { phases: [{ name: 'empty', examples: [], steps: 1 }] },
      /phase empty.*at least one example|neither/,
    ],
    [
      { phases: [{ name: 'endless', examples: countingExamples(1, 1) }] },
      /phase endless.*one of steps/,
    ],
    [{ phases: [{ name: 'x', generate: () => [], steps: 1 }] }, /return examples, received none/],
  ])('refuses %j', async (more, message) => {
    await expect(sft(optionsFor(new BigramModel(V), more))).rejects.toThrow(message);
  });
});
