// The reference against golden/ops: PyTorch in float64 on float32 inputs.
import { describe, expect, test } from 'vitest';
import { readGoldenJson, readGoldenTensors } from '../conformance/golden-files.ts';
import { rotaryFrequencies } from '../rotary-frequencies.ts';
import { causalAttention, labelScores, rmsNorm, rotary, swiGlu } from './operations.ts';
import { globalNorm, ReferenceAdamW } from './reference-adamw.ts';

interface Case {
  name: string;
  op: string;
  [field: string]: unknown;
}

const { cases } = readGoldenJson<{ cases: Case[] }>('ops.json');
const tensors = readGoldenTensors('ops.safetensors');

/** Both sides are float64; logits of ±100 and gradients of 1e4 lose some digits. */
const RELATIVE_BOUND = 1e-11;

function casesOf(op: string): [string, Case, (tensor: string) => Float64Array][] {
  return cases
    .filter((candidate) => candidate.op === op)
    .map((found) => {
      const get = (tensor: string): Float64Array => {
        const data = tensors.get(`${found.name}.${tensor}`);
        if (data === undefined) throw new Error(`${found.name}.${tensor} is not in the file`);
        return data;
      };
      return [found.name, found, get];
    });
}

function expectEqual(actual: Float64Array, expected: Float64Array): void {
  expect(actual.length).toBe(expected.length);
  const scale = expected.reduce((max, value) => Math.max(max, Math.abs(value)), 1e-300);
  actual.forEach((value, i) => {
    expect(Math.abs(value - (expected[i] as number))).toBeLessThanOrEqual(RELATIVE_BOUND * scale);
  });
}

describe('the float64 reference equals PyTorch', () => {
  test.each(casesOf('rms_norm'))('%s', (_, { eps }, get) => {
    const { y, backward } = rmsNorm(get('x'), get('weight'), eps as number);
    expectEqual(y, get('y'));
    const { dX, dWeight } = backward(get('dy'));
    expectEqual(dX, get('dx'));
    expectEqual(dWeight, get('dweight'));
  });

  test.each(casesOf('rotary'))('%s', (_, { positions, heads, size, rope_theta }, get) => {
    const sizes = { headWidth: size as number, ropeTheta: rope_theta as number };
    const options = { heads: heads as number, frequencies: rotaryFrequencies(sizes) };
    const { y, backward } = rotary(get('x'), positions as number[], options);
    expectEqual(y, get('y'));
    expectEqual(backward(get('dy')).dX, get('dx'));
  });

  test.each(casesOf('swiglu'))('%s', (_, _case, get) => {
    const { y, backward } = swiGlu(get('gate'), get('up'));
    expectEqual(y, get('y'));
    const { dGate, dUp } = backward(get('dy'));
    expectEqual(dGate, get('dgate'));
    expectEqual(dUp, get('dup'));
  });

  test.each(casesOf('causal_attention'))('%s', (_, golden, get) => {
    const { lengths, queryHeads: H, keyValueHeads: K, size: D } = golden;
    const offsets = golden['cuSeqlens'] as number[];
    const sizes = { H: H as number, K: K as number, D: D as number };
    const rows = (name: string, heads: number, b: number): Float64Array => {
      const [start, end] = [offsets[b] ?? 0, offsets[b + 1] ?? 0];
      return get(name).subarray(start * heads * sizes.D, end * heads * sizes.D);
    };
    for (const b of (lengths as number[]).keys()) {
      const [q, k, v] = [rows('q', sizes.H, b), rows('k', sizes.K, b), rows('v', sizes.K, b)];
      const { y, backward } = causalAttention(q, k, v, sizes);
      expectEqual(y, rows('out', sizes.H, b));
      const { dQ, dK, dV } = backward(rows('dout', sizes.H, b));
      expectEqual(dQ, rows('dq', sizes.H, b));
      expectEqual(dK, rows('dk', sizes.K, b));
      expectEqual(dV, rows('dv', sizes.K, b));
    }
  });

  test.each(casesOf('linear_logprob_entropy'))('%s', (_, { targets, size, temperature }, get) => {
    const scores = labelScores(
      get('hidden'),
      get('weight'),
      targets as number[],
      size as number,
      temperature as number,
    );
    expectEqual(scores.logProbs, get('logprob'));
    expectEqual(scores.entropies, get('entropy'));
    const { dHidden, dWeight } = scores.backward(get('dlogprob'), get('dentropy'));
    expectEqual(dHidden, get('dhidden'));
    expectEqual(dWeight, get('dweight'));
  });

  test.each(casesOf('adamw'))('%s', (_, golden, get) => {
    const { lr, betas, eps, weightDecay } = golden;
    const [steps, size] = [golden['steps'] as number, golden['size'] as number];
    const weights = new Map([['w', get('param').slice()]]);
    const optimizer = new ReferenceAdamW();
    const at = (name: string, step: number): Float64Array =>
      get(name).subarray(step * size, (step + 1) * size);
    for (let step = 0; step < steps; step++) {
      const [beta1, beta2] = betas as [number, number];
      const gradients = new Map([['w', at('grads', step)]]);
      optimizer.step(weights, gradients, {
        learningRate: lr as number,
        beta1,
        beta2,
        epsilon: eps as number,
        weightDecay: weightDecay as number,
        isDecayed: () => true,
      });
      expectEqual(weights.get('w') as Float64Array, at('params', step));
      expectEqual(optimizer.firstMoments.get('w') as Float64Array, at('exp_avg', step));
      expectEqual(optimizer.secondMoments.get('w') as Float64Array, at('exp_avg_sq', step));
    }
  });

  test.each(casesOf('clip_grad_norm'))('%s', (_, { norm, maxNorm }, get) => {
    const received = globalNorm(new Map([['all', get('grads')]]));
    expectEqual(Float64Array.of(received), Float64Array.of(norm as number));
    const factor = Math.min(1, (maxNorm as number) / (received + 1e-6));
    expectEqual(
      get('grads').map((gradient) => gradient * factor),
      get('clipped'),
    );
  });
});
