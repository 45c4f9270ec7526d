// The native operations give what the reference gives, on well-formed and on damaged batches.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MaskSearchError } from '@masksearch/core';
import * as native from './native.ts';
import { createPackingOutput, createRandomMaskOutput, createSpanMaskOutput } from './outputs.ts';
import * as reference from './reference.ts';
import type { Masking } from './contracts.ts';
import {
  authorMaskInputs,
  damaged,
  maskedSequences,
  packingInputs,
  randomMaskInputs,
  spanMaskInputs,
} from '../test/arbitraries.ts';

const RUNS = { numRuns: 300, seed: 20_251 };

/** Room after each output that must stay as it was. */
const GUARD = 3;
const UNTOUCHED = 77;

type Outputs = Readonly<Record<string, Int32Array | Uint8Array>>;

/** Longer copies of the output arrays, filled with a value that tells writes. */
function guarded<T extends Outputs>(outputs: T): T {
  const entries = Object.entries(outputs).map(([name, array]) => {
    const longer = array instanceof Int32Array ? Int32Array : Uint8Array;
    return [name, new longer(array.length + GUARD).fill(UNTOUCHED)];
  });
  return Object.fromEntries(entries) as T;
}

/** What a call returned and wrote, or the error it threw. */
function outcome<T extends Outputs>(outputs: T, call: (outputs: T) => unknown) {
  const written = guarded(outputs);
  let returned: unknown;
  try {
    returned = call(written);
  } catch (error) {
    if (!MaskSearchError.isInstance(error)) throw error;
    return { error: { code: error.code, message: error.message } };
  }
  for (const [name, array] of Object.entries(written)) {
    const guard = array.subarray(outputs[name]?.length);
    expect([...guard], `${name} is written beyond its end`).toEqual(Array(GUARD).fill(UNTOUCHED));
  }
  return { returned, written };
}

/**
 * Checks that both implementations do the same with every input, and with the same inputs damaged.
 * Returns how many of the sound and of the damaged inputs were refused.
 */
function compare<I extends object, O extends Outputs>(
  inputs: fc.Arbitrary<I>,
  outputsFor: (input: I) => O,
  call: (masking: Masking, input: I, outputs: O) => unknown,
) {
  const refuses = (input: I): boolean => {
    const outputs = outputsFor(input);
    const expected = outcome(outputs, (out) => call(reference, input, out));
    const received = outcome(outputs, (out) => call(native, input, out));
    expect(received).toEqual(expected);
    return 'error' in expected;
  };
  const refused = { sound: 0, damaged: 0 };
  fc.assert(
    fc.property(inputs, (input) => void (refused.sound += Number(refuses(input)))),
    RUNS,
  );
  fc.assert(
    fc.property(damaged(inputs), (input) => void (refused.damaged += Number(refuses(input)))),
    RUNS,
  );
  return refused;
}

describe('native and reference agree', () => {
  it('on spans collapsed to one mask each', () => {
    const refused = compare(
      spanMaskInputs,
      (input) => ({ ...createSpanMaskOutput(input) }),
      (masking, input, output) => masking.maskSpansCollapsed(input, output),
    );
    expect(refused.sound).toBe(0);
    expect(refused.damaged).toBeGreaterThan(20);
  });

  it('on spans with a mask per token', () => {
    const refused = compare(
      spanMaskInputs,
      (input) => ({ ...createSpanMaskOutput(input) }),
      (masking, input, output) => masking.maskSpansPerToken(input, output),
    );
    expect(refused.sound).toBe(0);
    expect(refused.damaged).toBeGreaterThan(20);
  });

  it('on author masks', () => {
    const refused = compare(
      authorMaskInputs,
      (input) => ({ mask: new Uint8Array(Math.max(0, input.offsets.at(-1) ?? 0) % 10_000) }),
      (masking, input, { mask }) => masking.authorMask(input, mask),
    );
    expect(refused.sound).toBe(0);
    expect(refused.damaged).toBeGreaterThan(20);
  });

  it('on shifted labels', () => {
    const refused = compare(
      maskedSequences,
      ({ ids }) => ({ labels: new Int32Array(ids.length) }),
      (masking, input, { labels }) => masking.shiftedLabels(input, labels),
    );
    expect(refused.sound).toBe(0);
    expect(refused.damaged).toBeGreaterThan(20);
  });

  it('on shifted labels of the policy', () => {
    const refused = compare(
      maskedSequences,
      ({ ids }) => ({ labels: new Int32Array(ids.length) }),
      (masking, input, { labels }) => masking.shiftedPolicyLabels(input, labels),
    );
    expect(refused.sound).toBe(0);
    expect(refused.damaged).toBeGreaterThan(20);
  });

  it('on random tokens', () => {
    const refused = compare(
      randomMaskInputs,
      ({ ids }) => ({ ...createRandomMaskOutput(ids.length) }),
      (masking, input, output) => masking.maskRandomTokens(input, output),
    );
    expect(refused.sound).toBe(0);
    expect(refused.damaged).toBeGreaterThan(20);
  });

  it('on whole words', () => {
    const refused = compare(
      randomMaskInputs,
      ({ ids }) => ({ ...createRandomMaskOutput(ids.length) }),
      (masking, input, output) => masking.maskWholeWords(input, output),
    );
    expect(refused.sound).toBe(0);
    expect(refused.damaged).toBeGreaterThan(20);
  });

  it('on geometric spans', () => {
    const refused = compare(
      randomMaskInputs,
      ({ ids }) => ({ ...createRandomMaskOutput(ids.length) }),
      (masking, input, output) => masking.maskGeometricSpans(input, output),
    );
    expect(refused.sound).toBe(0);
    expect(refused.damaged).toBeGreaterThan(20);
  });

  it('on packing', () => {
    fc.assert(
      fc.property(packingInputs, (input) => {
        const expected = createPackingOutput(input.lengths.length);
        const received = createPackingOutput(input.lengths.length);
        const packing = reference.packFirstFitDecreasing(input, expected);
        expect(native.packFirstFitDecreasing(input, received)).toEqual(packing);
        expect(received.order).toEqual(expected.order);
        // Beyond the last bin the offsets are unspecified.
        const used = packing.bins + 1;
        expect(received.binOffsets.slice(0, used)).toEqual(expected.binOffsets.slice(0, used));
      }),
      RUNS,
    );
  });
});
