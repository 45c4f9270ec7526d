import '../../test/tfjs.ts';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onesLike, tensor1d } from '@tensorflow/tfjs-core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CancelledError, type Sample } from '@masksearch/core';
import { BigramModel } from '../../test/bigram-model.ts';
import { readReproducibleRows, readRows } from '../../test/metrics-rows.ts';
import { collectGame, GAME_TASKS, GAME_VOCABULARY, type GameTask } from '../../test/search-game.ts';
import type { MetricsRow } from '../run/metrics-log.ts';
import { constantSchedule, warmUpSchedule } from '../schedule.ts';
import type { Collect } from './collect-groups.ts';
import { dapo, type DapoOptions } from './dapo.ts';
import { dapoRecipe, grpoRecipe, type PolicyTokens } from './recipe.ts';
import { customLoss } from '../losses/custom-loss.ts';
import { dapoLoss } from '../losses/dapo-loss.ts';
import type { TokenLoss } from '@masksearch/model';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dapo-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

function optionsFor(
  model: BigramModel,
  more: Partial<DapoOptions<GameTask>> = {},
): DapoOptions<GameTask> {
  return {
    model,
    tasks: GAME_TASKS,
    collect: collectGame(model),
    config: CONFIG,
    schedule: constantSchedule(0.1),
    adamW: { maxGradientNorm: 1 },
    metrics: join(folder, 'metrics.jsonl'),
    ...more,
  };
}

const CONFIG = { steps: 8, samplesPerTask: 8, groupsPerStep: 4, microBatchTokens: 40, seed: 3 };

const rowsOf = (): MetricsRow[] => readRows(join(folder, 'metrics.jsonl'));

async function weightsOf(model: BigramModel): Promise<Float32Array> {
  return (await model.weights())[0]?.data ?? new Float32Array();
}

/** Replaces what the game returned, sample by sample. */
function collectChanged(
  model: BigramModel,
  change: (sample: Sample, serial: number) => Sample,
): Collect<GameTask> {
  const collect = collectGame(model);
  return async (requests, context) => {
    const groups = await collect(requests, context);
    return groups.map((group, g) => group.map((s) => change(s, requests[g]?.serial ?? 0)));
  };
}

describe('dapo', { timeout: 30_000 }, () => {
  test('learns to search and then to answer from what it read', async () => {
    const model = new BigramModel(GAME_VOCABULARY);
    const config = { ...CONFIG, steps: 60, samplesPerTask: 16, groupsPerStep: 8, seed: 2 };
    const recipe = dapoRecipe({ maximumRounds: 3 });
    const result = await dapo(optionsFor(model, { config, recipe }));
    const rows = rowsOf();
    const accuracy = rows.map((row) => Number(row['critic/score/mean']));
    const early = accuracy.slice(0, 5).reduce((a, b) => a + b) / 5;
    const late = accuracy.slice(-5).reduce((a, b) => a + b) / 5;
    expect(early).toBeLessThan(0.25);
    expect(late).toBeGreaterThan(0.85);
    expect(result).toMatchObject({ steps: 60, stopped: false });
  });

  test('on-policy ratios are exactly 1 before the first update: kl_train_infer is 0', async () => {
    const model = new BigramModel(GAME_VOCABULARY);
    await dapo(optionsFor(model, { config: { ...CONFIG, maximumLagSteps: 0 } }));
    for (const row of rowsOf()) {
      expect(row['rollout/kl_train_infer']).toBe(0);
      expect(row['rollout/max_ratio_deviation']).toBe(0);
    }
  });

  test('stops when sampler and trainer disagree on tokens just sampled', async () => {
    const model = new BigramModel(GAME_VOCABULARY);
    const collect = collectChanged(model, (sample) => ({
      ...sample,
      logProbs: sample.logProbs.map((l) => (l === 0 ? 0 : l - 0.05)),
    }));
    await expect(dapo(optionsFor(model, { collect }))).rejects.toMatchObject({
      code: 'integrity',
      message: expect.stringContaining('sampler and trainer disagree') as string,
    });
    const tolerant = { ...CONFIG, mismatchTolerance: 0.1 };
    await expect(dapo(optionsFor(model, { collect, config: tolerant }))).resolves.toBeDefined();
  });

  test('notices log-probabilities of another temperature as soon as the policy is not uniform', async () => {
    const model = new BigramModel(GAME_VOCABULARY);
    const temperature = 0.5;
    const collect = collectChanged(model, (sample) => ({
      ...sample,
      logProbs: sample.logProbs.map((_, t) => {
        if (sample.mask[t] !== 1) return 0;
        const scaled = model.logProbsAfter(sample.ids[t - 1] as number).map((l) => l / temperature);
        const total = scaled.reduce((sum, l) => sum + Math.exp(l), 0);
        return Math.min((scaled[sample.ids[t] as number] as number) - Math.log(total), 0);
      }),
    }));
    const rows: MetricsRow[] = [];
    const config = { ...CONFIG, maximumLagSteps: 0 };
    const onStep = (row: MetricsRow): void => void rows.push(row);
    await expect(dapo(optionsFor(model, { collect, config, onStep }))).rejects.toThrow(
      /sampler and trainer disagree \(temperature/,
    );
    expect(rows.length).toBeGreaterThanOrEqual(1);
  });

  test('does not depend on the order in which samples are finished', async () => {
    const inOrder = new BigramModel(GAME_VOCABULARY);
    await dapo(optionsFor(inOrder));
    const shuffled = new BigramModel(GAME_VOCABULARY);
    const collect: Collect<GameTask> = async (requests, context) => {
      const groups = await collectGame(shuffled)(requests, context);
      return groups.map((group, g) =>
        g % 2 === 0 ? group.toReversed() : group.toSpliced(0, 1).concat(group.slice(0, 1)),
      );
    };
    await dapo(optionsFor(shuffled, { collect }));
    expect(await weightsOf(shuffled)).toEqual(await weightsOf(inOrder));
  });

  test('micro-batch size does not change the result beyond rounding', async () => {
    const weights: Float32Array[] = [];
    for (const microBatchTokens of [8, 40, 10_000]) {
      const model = new BigramModel(GAME_VOCABULARY);
      await dapo(optionsFor(model, { config: { ...CONFIG, steps: 3, microBatchTokens } }));
      weights.push(await weightsOf(model));
    }
    for (const other of weights.slice(1)) {
      weights[0]?.forEach((w, i) => expect(other[i]).toBeCloseTo(w, 5));
    }
  });

  test('filters by outcome, not by the shaped reward, and counts accuracy over all groups', async () => {
    const model = new BigramModel(GAME_VOCABULARY);
    await dapo(optionsFor(model));
    const rows = rowsOf();
    for (const row of rows) {
      const shares = ['keep_rate', 'all_correct', 'all_wrong', 'equal_rewards', 'failed'].map(
        (name) => Number(row[`dapo/${name}`]),
      );
      expect(shares.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
      expect(row['dapo/equal_rewards']).toBe(0);
    }
    // An untrained model gets one in sixteen right. Accepted groups alone have at least one in eight.
    expect(Number(rows[0]?.['critic/score/mean'])).toBeLessThan(1 / 8);
    expect(Number(rows[0]?.['dapo/all_wrong'])).toBeGreaterThan(0.2);
  });

  test('never uses more groups than wanted, carries surplus over, and every visit is accounted for', async () => {
    const model = new BigramModel(GAME_VOCABULARY);
    const recipe = dapoRecipe({ maximumOversampling: 8 });
    await dapo(optionsFor(model, { recipe, config: { ...CONFIG, steps: 12, groupsPerStep: 2 } }));
    const rows = rowsOf();
    for (const row of rows) {
      expect(Number(row['dapo/train_groups'])).toBeLessThanOrEqual(2);
      const states = ['queued', 'inflight', 'accepted', 'rejected', 'failed', 'expired'];
      const sum = states.reduce((total, name) => total + Number(row[`tasks/${name}`]), 0);
      expect(sum).toBe(row['tasks/enqueued']);
      expect(row['tasks/inflight']).toBe(0);
    }
    expect(rows.some((row) => Number(row['dapo/surplus_groups']) > 0)).toBe(true);
    // A step that lives on surplus trains on samples of older weights.
    expect(rows.some((row) => Number(row['rollout/weight_version_lag']) > 0)).toBe(true);
  });

  test('surplus groups expire after maximumLagSteps', async () => {
    const model = new BigramModel(GAME_VOCABULARY);
    const recipe = {
      ...dapoRecipe(),
      planRound: ({ round }: { round: number }) => (round === 0 ? 30 : 0),
    };
    const config = { ...CONFIG, steps: 4, groupsPerStep: 2, maximumLagSteps: 0 };
    await dapo(optionsFor(model, { recipe, config }));
    const rows = rowsOf();
    rows.forEach((row) => expect(row['rollout/weight_version_lag']).toBe(0));
    expect(rows[1]?.['dapo/expired_groups']).toBe(rows[0]?.['dapo/surplus_groups']);
    expect(Number(rows[1]?.['dapo/wasted_tokens'])).toBeGreaterThan(0);
  });

  test('nothing accepted: optimizer and schedule stand still, the step is counted, the run goes on', async () => {
    const model = new BigramModel(GAME_VOCABULARY);
    const collect = collectChanged(model, (sample) => ({ ...sample, outcome: 0 }));
    const schedule = warmUpSchedule({ peak: 0.1, warmUpSteps: 5 });
    const result = await dapo(
      optionsFor(model, {
        collect,
        schedule,
        recipe: dapoRecipe({ maximumRounds: 2 }),
        config: { ...CONFIG, steps: 3 },
      }),
    );
    expect(result).toMatchObject({ steps: 3, skippedSteps: 3, shortSteps: 3 });
    expect(model.steps).toBe(0);
    const rows = rowsOf();
    expect(rows.map((row) => row['actor/lr'])).toEqual([0.02, 0.02, 0.02]);
    expect(rows.map((row) => row['dapo/gen_batches'])).toEqual([2, 2, 2]);
    expect(rows.map((row) => row['dapo/all_wrong'])).toEqual([1, 1, 1]);
  });

  test('requireFullBatch turns a short batch into an error', async () => {
    const model = new BigramModel(GAME_VOCABULARY);
    const collect = collectChanged(model, (sample) => ({ ...sample, outcome: 1 }));
    const config = { ...CONFIG, requireFullBatch: true };
    await expect(dapo(optionsFor(model, { collect, config }))).rejects.toMatchObject({
      code: 'empty-batch',
    });
  });

  test('a non-finite reward leaves its sample out and does not poison the group', async () => {
    const model = new BigramModel(GAME_VOCABULARY);
    const collect = collectChanged(model, (sample) =>
      sample.sampleIndex === 0 ? { ...sample, reward: Number.NaN } : sample,
    );
    await dapo(optionsFor(model, { collect }));
    expect((await weightsOf(model)).every(Number.isFinite)).toBe(true);
    expect(Number(rowsOf()[0]?.['dapo/invalid_rewards'])).toBeGreaterThan(0);
  });

  test('surplus groups with a non-finite reward survive a checkpoint', async () => {
    const checkpoints = { folder: join(folder, 'checkpoints'), everySteps: 1 };
    const config = { ...CONFIG, groupsPerStep: 1, steps: 2 };
    const resume = (): Promise<unknown> => {
      const model = new BigramModel(GAME_VOCABULARY);
      const stopper = new AbortController();
      const collect = collectChanged(model, (sample) =>
        sample.sampleIndex === 0 ? { ...sample, reward: Number.NaN } : sample,
      );
      const recipe = { ...dapoRecipe(), planRound: () => 20 };
      const onStep = (): void => stopper.abort();
      const signal = stopper.signal;
      return dapo(optionsFor(model, { collect, recipe, config, checkpoints, signal, onStep }));
    };
    await expect(resume()).resolves.toMatchObject({ steps: 1, stopped: true });
    expect(Number(rowsOf()[0]?.['dapo/surplus_groups'])).toBeGreaterThan(0);
    await expect(resume()).resolves.toMatchObject({ steps: 2, stopped: false });
  });

  test('groups may come back short or empty; empty ones are booked as failed', async () => {
    const model = new BigramModel(GAME_VOCABULARY);
    const collect: Collect<GameTask> = async (requests, context) => {
      const groups = await collectGame(model)(requests, context);
      return groups.map((group, g) => (g === 0 ? [] : g === 1 ? group.slice(2) : group));
    };
    await dapo(optionsFor(model, { collect }));
    const last = rowsOf().at(-1);
    expect(Number(last?.['tasks/failed'])).toBeGreaterThanOrEqual(8);
  });

  test('overlong filtering takes truncated samples out of the loss, not out of the group', async () => {
    const truncate = (sample: Sample): Sample =>
      sample.sampleIndex < 4 ? { ...sample, finishReason: 'turn-length' } : sample;
    const run = async (overlongFiltering: boolean): Promise<MetricsRow | undefined> => {
      const model = new BigramModel(GAME_VOCABULARY);
      const collect = collectChanged(model, truncate);
      await dapo(
        optionsFor(model, { collect, config: { ...CONFIG, steps: 1, overlongFiltering } }),
      );
      return rowsOf()[0];
    };
    const kept = await run(false);
    const filtered = await run(true);
    expect(Number(filtered?.['actor/label_tokens'])).toBe(Number(kept?.['actor/label_tokens']) / 2);
    expect(filtered?.['critic/advantages/max']).toBe(kept?.['critic/advantages/max']);
    expect(kept?.['response_length/clip_ratio']).toBe(0.5);
  });

  test('truncated importance weights are 1 on-policy and capped for stale samples', async () => {
    const recipe = dapoRecipe({ maximumOversampling: 8 });
    const model = new BigramModel(GAME_VOCABULARY);
    const config = { ...CONFIG, steps: 12, groupsPerStep: 2, truncatedImportance: 1.05 };
    await dapo(optionsFor(model, { recipe, config }));
    const rows = rowsOf();
    for (const row of rows) {
      expect(row['rollout/importance_weight/max']).toBeLessThanOrEqual(Math.fround(1.05));
      if (row['rollout/weight_version_lag'] === 0)
        expect(row['rollout/importance_weight/mean']).toBe(1);
    }
    expect(rows.some((row) => row['rollout/importance_weight/max'] === Math.fround(1.05))).toBe(
      true,
    );
  });

  test('the curriculum decides which task groups are drawn', async () => {
    const model = new BigramModel(GAME_VOCABULARY);
    const curriculum = [
      { name: 'easy', groups: ['k1'], steps: 2 },
      { name: 'both', groups: ['k1', 'k2'], steps: 2 },
    ];
    await dapo(
      optionsFor(model, { curriculum, config: { ...CONFIG, steps: 4, maximumLagSteps: 0 } }),
    );
    const rows = rowsOf();
    expect(rows.map((row) => row['curriculum/phase'])).toEqual(['easy', 'easy', 'both', 'both']);
    expect(rows.map((row) => 'curriculum/acc_by_masks/2' in row)).toEqual([
      false,
      false,
      true,
      true,
    ]);
  });

  test('GRPO is another recipe: one round, all groups with a gradient', async () => {
    const model = new BigramModel(GAME_VOCABULARY);
    const requested: number[] = [];
    const collect: Collect<GameTask> = (requests, context) => {
      requested.push(requests.length);
      return collectGame(model)(requests, context);
    };
    await dapo(
      optionsFor(model, { collect, recipe: grpoRecipe(), config: { ...CONFIG, steps: 3 } }),
    );
    expect(requested).toEqual([4, 4, 4]);
  });

  test('the loss may be any tfjs function: DAPO written out trains like the built-in one', async () => {
    const builtIn = new BigramModel(GAME_VOCABULARY);
    const config = { ...CONFIG, steps: 3 };
    await dapo(optionsFor(builtIn, { config }));
    const clip = { low: 0.2, high: 0.28 };
    const tokenLoss = (tokens: PolicyTokens): TokenLoss =>
      customLoss(({ positions, logProbs }) => {
        const at = (values: Float32Array) =>
          tensor1d(Float32Array.from(positions, (t) => values[t] as number));
        return dapoLoss({
          logProbs,
          oldLogProbs: at(tokens.oldLogProbs),
          advantages: at(tokens.advantages),
          lossMask: onesLike(logProbs),
          clip,
          denominator: 1 / tokens.scale,
        });
      });
    const custom = new BigramModel(GAME_VOCABULARY);
    await dapo(optionsFor(custom, { config, recipe: { ...dapoRecipe({ clip }), tokenLoss } }));
    const expected = await weightsOf(builtIn);
    (await weightsOf(custom)).forEach((w, i) => expect(w).toBeCloseTo(expected[i] as number, 4));
    expect(expected.some((w) => Math.abs(w) > 0.1)).toBe(true);
  });

  test('each optimizer step of a rollout batch uses its own share of the groups', async () => {
    const model = new BigramModel(GAME_VOCABULARY);
    await dapo(optionsFor(model, { config: { ...CONFIG, steps: 1, miniBatches: 3 } }));
    expect(model.steps).toBe(3);
    const row = rowsOf()[0];
    expect(row?.['actor/updates']).toBe(3);
    expect(row?.['actor/label_tokens']).toBe(4 * 8 * 2); // groups × samples × policy tokens
  });

  test('resumed at any step it gives the weights and metrics of an uninterrupted run', async () => {
    const settings = {
      recipe: dapoRecipe({ maximumOversampling: 8 }),
      config: { ...CONFIG, groupsPerStep: 2 },
    };
    const whole = new BigramModel(GAME_VOCABULARY);
    await dapo(optionsFor(whole, settings));
    const rows = readReproducibleRows(join(folder, 'metrics.jsonl'));
    const checkpoints = { folder: join(folder, 'checkpoints'), everySteps: 100 };
    for (let steps = 0; steps <= 8; steps++) {
      const part = new BigramModel(GAME_VOCABULARY);
      const stopper = new AbortController();
      const onStep = (): void => stopper.abort();
      const signal = stopper.signal;
      const result = await dapo(optionsFor(part, { ...settings, checkpoints, signal, onStep }));
      expect(result.stopped).toBe(result.steps < 8);
    }
    const final = new BigramModel(GAME_VOCABULARY);
    await dapo(optionsFor(final, { ...settings, checkpoints }));
    expect(await weightsOf(final)).toEqual(await weightsOf(whole));
    expect(readReproducibleRows(join(folder, 'metrics.jsonl'))).toEqual(rows);
  });

  test('when collect gives up on the signal, the step is repeated on resumption', async () => {
    const whole = new BigramModel(GAME_VOCABULARY);
    await dapo(optionsFor(whole));
    const checkpoints = { folder: join(folder, 'checkpoints'), everySteps: 100 };
    const stopper = new AbortController();
    const part = new BigramModel(GAME_VOCABULARY);
    const collect: Collect<GameTask> = async (requests, context) => {
      if (context.step === 5) {
        stopper.abort();
        throw new CancelledError('rollouts: cancelled.');
      }
      return collectGame(part)(requests, context);
    };
    const first = await dapo(optionsFor(part, { collect, checkpoints, signal: stopper.signal }));
    expect(first).toMatchObject({ steps: 5, stopped: true });
    const resumed = new BigramModel(GAME_VOCABULARY);
    await dapo(optionsFor(resumed, { checkpoints }));
    expect(await weightsOf(resumed)).toEqual(await weightsOf(whole));
  });

  test('may be given more steps, but not other settings, tasks or a schedule with another past', async () => {
    const checkpoints = { folder: join(folder, 'checkpoints'), everySteps: 2 };
    await dapo(optionsFor(new BigramModel(GAME_VOCABULARY), { checkpoints }));
    const resume = (more: Partial<DapoOptions<GameTask>>): Promise<unknown> => {
      const model = new BigramModel(GAME_VOCABULARY);
      return dapo(optionsFor(model, { checkpoints, ...more }));
    };
    await expect(resume({ config: { ...CONFIG, samplesPerTask: 4 } })).rejects.toThrow(
      /samplesPerTask was 8, is 4/,
    );
    await expect(resume({ tasks: GAME_TASKS.slice(1) })).rejects.toThrow(/tasks was/);
    await expect(resume({ schedule: constantSchedule(0.2) })).rejects.toThrow(/schedule was/);
    await expect(resume({ recipe: grpoRecipe() })).rejects.toThrow(/recipe.name was dapo, is grpo/);
    await expect(resume({ config: { ...CONFIG, steps: 10 } })).resolves.toMatchObject({
      steps: 10,
    });
  });

  test.each([
    ['an unknown setting', { config: { ...CONFIG, stepz: 1 } }, /stepz/],
    ['one sample per task', { config: { ...CONFIG, samplesPerTask: 1 } }, /samplesPerTask/],
    ['no tasks', { tasks: [] }, /at least one task/],
    ['a phase without tasks', { curriculum: [{ name: 'x', groups: ['k9'], steps: 1 }] }, /k9/],
  ])('refuses %s', async (_, more, message) => {
    const model = new BigramModel(GAME_VOCABULARY);
    await expect(dapo(optionsFor(model, more))).rejects.toMatchObject({
      code: 'config',
      message: expect.stringMatching(message) as string,
    });
  });

  test.each<[string, (sample: Sample) => Sample, RegExp]>([
    [
      'a mask on tool output',
      (s) => ({ ...s, mask: s.mask.with(-2, 1) }),
      /expected mask 0 for author tool/,
    ],
    ['another policy version', (s) => ({ ...s, policyVersion: 9 }), /policy version 0, received 9/],
    ['another task', (s) => ({ ...s, taskId: 'other' }), /samples of this task/],
    ['one index twice', (s) => ({ ...s, sampleIndex: 1 }), /each once/],
    [
      'a positive log-probability',
      (s) => ({ ...s, logProbs: s.logProbs.with(-1, 0.5) }),
      /finite log-probability/,
    ],
  ])('refuses samples with %s', async (_, change, message) => {
    const model = new BigramModel(GAME_VOCABULARY);
    const collect = collectChanged(model, change);
    await expect(dapo(optionsFor(model, { collect }))).rejects.toThrow(message);
  });

  test('refuses a collect that loses a group', async () => {
    const model = new BigramModel(GAME_VOCABULARY);
    const collect: Collect<GameTask> = async (requests, context) =>
      (await collectGame(model)(requests, context)).slice(1);
    await expect(dapo(optionsFor(model, { collect }))).rejects.toThrow(
      /return \d+ groups, received/,
    );
  });
});
