// The plan on the TypeScript side; that buffers keep to it is tested in native/engine/test/memory_test.cpp.
import { InputError } from '@masksearch/core';
import { parameterCount, type DecoderConfig, type LoraConfig } from '@masksearch/model';
import { describe, expect, it } from 'vitest';
import { formatMemoryPlan, planMemory } from './memory-plan.ts';

const config: DecoderConfig = {
  vocabularySize: 2048,
  width: 256,
  layers: 6,
  heads: 8,
  keyValueHeads: 4,
  headWidth: 32,
  feedForwardWidth: 768,
  ropeTheta: 1e6,
  normEpsilon: 1e-6,
  maxPositions: 2048,
  attentionBias: true,
  tiedEmbeddings: true,
};

describe('planMemory', () => {
  it('counts four bytes a parameter, once for weights and gradients, twice for the moments', () => {
    const plan = planMemory(config, {});
    expect(plan.weights).toBe(4 * parameterCount(config));
    expect(plan.gradients).toBe(plan.weights);
    expect(plan.moments).toBe(2 * plan.weights);
    expect([plan.activations, plan.lossHead, plan.keyValues]).toEqual([0, 0, 0]);
  });

  it('counts keys and values of every layer, head and position of full sequences', () => {
    const plan = planMemory(config, { sequences: 64, contextTokens: 512 });
    expect(plan.keyValues).toBe(4 * 64 * 512 * 6 * 2 * 4 * 32);
  });

  it('grows with the batch up to a pass, and with the longest sequence beyond', () => {
    const of = (batchTokens: number, longestSequence: number): number =>
      planMemory(config, { batchTokens, longestSequence }).activations;
    expect(of(2048, 512)).toBeGreaterThan(of(1024, 512));
    expect(of(8192, 512)).toBe(of(2048, 512));
    expect(of(8192, 4096)).toBeGreaterThan(of(8192, 512));
  });

  it('has gradients and moments of the adapter alone', () => {
    const lora: LoraConfig = { rank: 4, alpha: 8, dropout: 0, targets: ['q_proj', 'v_proj'] };
    const plan = planMemory(config, { batchTokens: 512, lora });
    const adapter = 6 * 4 * (256 + 256 + 256 + 128);
    expect(plan.weights).toBe(4 * (parameterCount(config) + adapter));
    expect(plan.gradients).toBe(4 * adapter);
    expect(plan.moments).toBe(8 * adapter);
  });

  it('its total is the sum of its parts, and the text names each of them', () => {
    const plan = planMemory(config, { batchTokens: 4096, longestSequence: 512 });
    const { total, ...parts } = plan;
    expect(Object.values(parts).reduce((sum, bytes) => sum + bytes, 0)).toBe(total);
    const lines = formatMemoryPlan(plan).split('\n');
    expect(lines).toHaveLength(8);
    expect(lines.at(-1)).toBe(`${(total / 2 ** 20).toFixed(1).padStart(10)} MiB  total`);
  });

  it.each([
    [{ threads: 0 }, 'threads in 1..1024, received 0'],
    [{ batchTokens: -1 }, 'batchTokens to be an integer >= 0, received -1'],
    [{ contextTokens: 1.5 }, 'contextTokens to be an integer >= 0, received 1.5'],
  ])('refuses %j', (use, message) => {
    expect(() => planMemory(config, use)).toThrow(InputError);
    expect(() => planMemory(config, use)).toThrow(message);
  });
});
