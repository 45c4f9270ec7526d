import { describe, expect, test } from 'vitest';
import { RandomStream, type Sample } from '@masksearch/core';
import { BigramModel } from '../../test/bigram-model.ts';
import { referenceDapo, referenceGrpo, type ReferenceToken } from '../../test/reference-losses.ts';
import { groupAdvantages } from '../group-advantages.ts';
import type { AcceptedGroup } from './collect-groups.ts';
import { dapoRecipe, grpoRecipe } from './recipe.ts';
import { updatePolicy, type UpdateOptions } from './update-policy.ts';

const V = 6;

/** A prompt, then alternately policy and tool tokens; sampled by an older policy, so ratios differ from 1. */
function staleSample(index: number, reward: number, length: number): Sample {
  const random = new RandomStream('stale', index);
  const ids = Array.from({ length }, () => random.below(V));
  const mask = ids.map((_, t) => (t > 1 && t % 3 !== 0 ? 1 : 0));
  return {
    version: 1,
    taskId: 't',
    group: 'k1',
    sampleIndex: index,
    policyVersion: 5, // not the model's: no on-policy check
    ids,
    mask,
    logProbs: mask.map((m) => (m === 1 ? Math.fround(-Math.log(V) - random.uniform() + 0.4) : 0)),
    segments: [],
    searches: [],
    answer: null,
    finishReason: 'answer',
    rewardTerms: {},
    reward,
    outcome: reward > 0.5 ? 1 : 0,
  };
}

function groupOf(serial: number, rewards: readonly number[]): AcceptedGroup {
  const samples = rewards.map((reward, i) => staleSample(10 * serial + i, reward, 5 + 4 * i));
  return { serial, step: 0, samples };
}

function optionsFor(
  groups: readonly AcceptedGroup[],
  more: Partial<UpdateOptions> = {},
): UpdateOptions {
  return {
    model: new BigramModel(V),
    recipe: dapoRecipe(),
    groups,
    miniBatches: 1,
    microBatchTokens: 20,
    adamW: { learningRate: 0.1 },
    overlongFiltering: false,
    truncatedImportance: undefined,
    klCoefficient: 0,
    displacementCoefficient: 0,
    mismatchTolerance: 0.01,
    seed: 1,
    step: 0,
    ...more,
  };
}

/** The same samples for the reference: an untrained model gives every token log-probability −log V. */
function referenceRows(groups: readonly AcceptedGroup[]): ReferenceToken[][] {
  return groups.flatMap(({ samples }) => {
    const result = groupAdvantages(samples.map(({ reward }) => reward));
    if (!result.kept) return [];
    return samples.map(({ mask, logProbs }, i) =>
      mask.map((m, t) => ({
        logProb: -Math.log(V),
        oldLogProb: logProbs[t] as number,
        advantage: result.advantages[i] as number,
        weight: 1,
        mask: m === 1,
      })),
    );
  });
}

const groups = [groupOf(1, [1, 0, 0.1]), groupOf(2, [0, 0.9, 0.3, 1])];

describe('updatePolicy', () => {
  test('DAPO: the mean over all policy tokens of the optimizer step', async () => {
    const { metrics, updates } = await updatePolicy(optionsFor(groups));
    const tokens = referenceRows(groups).flat();
    const expected = referenceDapo(tokens, { low: 0.2, high: 0.28 });
    expect(updates).toBe(1);
    expect(metrics['actor/pg_loss']).toBeCloseTo(expected, 5);
    expect(metrics['actor/label_tokens']).toBe(tokens.filter(({ mask }) => mask).length);
    const ratios = tokens.filter(({ mask }) => mask).map((t) => Math.exp(t.logProb - t.oldLogProb));
    expect(Math.max(...ratios)).toBeGreaterThan(1.28); // the bounds act
    expect(Number(metrics['actor/pg_clipfrac'])).toBeGreaterThan(0);
    expect(Number(metrics['actor/pg_clipfrac_lower'])).toBeGreaterThan(0);
  });

  test("GRPO: the mean over samples of each one's mean", async () => {
    const { metrics } = await updatePolicy(optionsFor(groups, { recipe: grpoRecipe() }));
    const expected = referenceGrpo(referenceRows(groups), { low: 0.2, high: 0.2 });
    expect(metrics['actor/pg_loss']).toBeCloseTo(expected, 5);
  });

  test('groups without variance do not count in T', async () => {
    const withEqual = [...groups, groupOf(3, [0.5, 0.5, 0.5])];
    const { metrics } = await updatePolicy(optionsFor(withEqual));
    const without = await updatePolicy(optionsFor(groups));
    expect(metrics['actor/label_tokens']).toBe(without.metrics['actor/label_tokens']);
    expect(metrics['actor/pg_loss']).toBeCloseTo(without.metrics['actor/pg_loss'] as number, 9);
  });

  test('every mini-batch divides by its own T', async () => {
    const model = new BigramModel(V);
    const { metrics, updates } = await updatePolicy(
      // A learning rate of 0: the second mini-batch sees the model of the first.
      optionsFor(groups, { model, miniBatches: 2, adamW: { learningRate: 0 } }),
    );
    expect(updates).toBe(2);
    const losses = groups.map((group) =>
      referenceDapo(referenceRows([group]).flat(), { low: 0.2, high: 0.28 }),
    );
    const mean = ((losses[0] as number) + (losses[1] as number)) / 2;
    expect(metrics['actor/pg_loss']).toBeCloseTo(mean, 5);
  });

  test('T = 0 leaves the optimizer alone', async () => {
    const model = new BigramModel(V);
    const truncated = groups.map((group) => ({
      ...group,
      samples: group.samples.map((s): Sample => ({ ...s, finishReason: 'context-full' })),
    }));
    const result = await updatePolicy(
      optionsFor(truncated, { model, overlongFiltering: true, miniBatches: 2 }),
    );
    expect(result).toMatchObject({ updates: 0, skipped: 2 });
    expect(model.steps).toBe(0);
    expect(await updatePolicy(optionsFor([], { model }))).toMatchObject({ updates: 0, skipped: 0 });
  });

  test('truncated importance weights: ratio against π_old, min(π_old/μ, C) in front', async () => {
    const cap = 1.1;
    const { metrics } = await updatePolicy(optionsFor(groups, { truncatedImportance: cap }));
    const tokens = referenceRows(groups)
      .flat()
      .map((token) => ({
        ...token,
        weight: Math.min(Math.exp(token.logProb - token.oldLogProb), cap),
        oldLogProb: token.logProb, // π_old is the model itself: every ratio is 1
      }));
    expect(metrics['actor/pg_loss']).toBeCloseTo(
      referenceDapo(tokens, { low: 0.2, high: 0.28 }),
      5,
    );
    expect(metrics['actor/pg_clipfrac']).toBe(0);
  });

  test('likelihood that good turns lost is penalised: λ / T · Σ of the losses of such turns', async () => {
    const { metrics } = await updatePolicy(optionsFor(groups, { displacementCoefficient: 0.2 }));
    const rows = referenceRows(groups);
    let lost = 0;
    for (const row of rows) {
      const turns = row.map(({ mask }, t) => (mask && row[t - 1]?.mask !== true ? t : -1));
      for (const start of turns.filter((t) => t >= 0)) {
        const end = row.findIndex(({ mask }, t) => t > start && !mask);
        const turn = row.slice(start, end < 0 ? row.length : end);
        const losses = turn.map(({ logProb, oldLogProb }) => oldLogProb - logProb);
        const isDisplaced = losses.reduce((sum, value) => sum + value, 0) > 0;
        if (!isDisplaced || (turn[0]?.advantage ?? 0) < 0) continue;
        for (const value of losses) lost += Math.max(0, value);
      }
    }
    expect(lost).toBeGreaterThan(0);
    const labels = rows.flat().filter(({ mask }) => mask).length;
    const plain = referenceDapo(rows.flat(), { low: 0.2, high: 0.28 });
    expect(metrics['actor/pg_loss']).toBeCloseTo(plain + (0.2 * lost) / labels, 5);
    expect(metrics['actor/displacement']).toBeCloseTo(lost / labels, 5);
    const without = await updatePolicy(optionsFor(groups));
    expect(without.metrics).not.toHaveProperty('actor/displacement');
    expect(metrics['actor/pg_clipfrac']).toBe(without.metrics['actor/pg_clipfrac']);
  });

  test('a gradient that is not finite stops the run', async () => {
    const [first, ...rest] = groups[0]?.samples ?? [];
    if (!first) throw new Error('expected a sample');
    const recipe = {
      ...dapoRecipe(),
      advantages: () => ({ kept: true as const, advantages: [Number.NaN, 1, -1] }),
    };
    const broken = [{ serial: 1, step: 0, samples: [first, ...rest] }];
    await expect(updatePolicy(optionsFor(broken, { recipe }))).rejects.toThrow(
      /finite gradient norm in step 0/,
    );
  });
});
