import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TrainingExample } from '../packing.ts';
import { countPhaseSteps, PHASES_START, PhaseReader, type SftPhase } from './phases.ts';

/** Example i holds the token i, `lengths[i]` times. */
function examplesOf(lengths: readonly number[]): TrainingExample[] {
  return lengths.map((length, i) => ({
    ids: Array.from({ length }, () => i),
    mask: Array.from({ length }, (_, t) => (t === 0 ? 0 : 1)),
  }));
}

const examples = examplesOf([3, 5, 2, 7, 4, 6, 3, 8]);

function readAll(phases: readonly SftPhase[], batchTokens: number, seed = 1): number[][] {
  const reader = new PhaseReader({ phases, batchTokens, seed, cursor: PHASES_START });
  const batches: number[][] = [];
  for (let batch = reader.next(); batch; batch = reader.next()) {
    batches.push(batch.examples.map(({ ids }) => ids[0] as number));
  }
  return batches;
}

const ascending = (values: readonly number[]): number[] => values.toSorted((a, b) => a - b);

describe('PhaseReader', () => {
  test('an epoch has every example once, and each epoch its own order', () => {
    const order = readAll([{ name: 'x', examples, epochs: 3 }], 12).flat();
    const epochs = [order.slice(0, 8), order.slice(8, 16), order.slice(16)];
    for (const epoch of epochs) expect(ascending(epoch)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(epochs[1]).not.toEqual(epochs[0]);
    expect(epochs[2]).not.toEqual(epochs[1]);
  });

  test('phases have orders of their own, and so have seeds', () => {
    const twice = [
      { name: 'a', examples, epochs: 1 },
      { name: 'b', examples, epochs: 1 },
    ];
    const order = readAll(twice, 12).flat();
    expect(order.slice(8)).not.toEqual(order.slice(0, 8));
    expect(readAll(twice, 12)).toEqual(readAll(twice, 12));
    expect(readAll(twice, 12, 2)).not.toEqual(readAll(twice, 12, 1));
  });

  test('a step takes whole examples up to batchTokens, a longer one alone', () => {
    const phase = { name: 'x', examples, steps: 40 };
    for (const batch of readAll([phase], 7)) {
      const tokens = batch.reduce((sum, i) => sum + (examples[i]?.ids.length ?? 0), 0);
      expect(tokens <= 7 || batch.length === 1).toBe(true);
    }
  });

  test('a step may span two epochs, but never holds more examples than there are', () => {
    const batches = readAll([{ name: 'x', examples, steps: 5 }], 1000);
    for (const batch of batches) expect(ascending(batch)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    const spanning = readAll([{ name: 'x', examples, steps: 12 }], 12).flat();
    expect(ascending(spanning.slice(0, 8))).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  test('goes on exactly where a cursor was saved', () => {
    const phases: SftPhase[] = [
      { name: 'copying', generate: (step) => [{ ids: [step, step], mask: [0, 1] }], steps: 2 },
      { name: 'a', examples, tokens: 60 },
      { name: 'b', examples, epochs: 2 },
    ];
    const expected = readAll(phases, 12);
    let cursor = PHASES_START;
    const resumed: number[][] = [];
    for (;;) {
      const reader = new PhaseReader({ phases, batchTokens: 12, seed: 1, cursor });
      const batch = reader.next();
      if (!batch) break;
      resumed.push(batch.examples.map(({ ids }) => ids[0] as number));
      cursor = reader.cursor;
    }
    expect(resumed).toEqual(expected);
  });

  test('countPhaseSteps foretells the number of steps of any curriculum', () => {
    const end = fc.oneof(
      fc.record({ steps: fc.integer({ min: 0, max: 9 }) }),
      fc.record({ tokens: fc.integer({ min: 0, max: 99 }) }),
      fc.record({ epochs: fc.integer({ min: 0, max: 3 }) }),
    );
    fc.assert(
      fc.property(
        fc.array(end, { maxLength: 4 }),
        fc.integer({ min: 1, max: 50 }),
        (ends, tokens) => {
          const phases = ends.map((phaseEnd, i) => ({ name: `p${i}`, examples, ...phaseEnd }));
          const options = { phases, batchTokens: tokens, seed: 1 };
          expect(countPhaseSteps(options)).toBe(readAll(phases, tokens).length);
        },
      ),
      { numRuns: 50, seed: 61 },
    );
  });
});
