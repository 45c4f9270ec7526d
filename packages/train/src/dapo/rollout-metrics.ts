// Metrics of what a step sampled, but not of its update. They count every group, also those that were filtered out:
// accuracy over accepted groups alone would be biased towards one half.
import type { Sample } from '@masksearch/core';
import { meanOf, summarize, sumOf } from '../numbers.ts';
import type { CollectedBatch, GeneratedGroup } from './collect-groups.ts';
import type { TaskLedger } from './task-stream.ts';
import { isTruncated } from './truncation.ts';

/** Tokens that the policy wrote. */
export function policyTokens(sample: Sample): number {
  return sumOf(sample.mask);
}

/** Of all samples of a step. */
export function rolloutMetrics(groups: readonly GeneratedGroup[]): Record<string, number> {
  const samples = groups.flatMap((group) => group.samples);
  if (samples.length === 0) return {};
  const turns = samples.map((sample) => policySegments(sample));
  const invalid = samples.filter(({ finishReason }) => endsInvalid(finishReason)).length;
  const searches = samples.flatMap((sample) => sample.searches);
  return {
    ...summarize(
      'critic/score',
      samples.map(({ outcome }) => outcome),
    ),
    ...summarize('critic/rewards', finite(samples.map(({ reward }) => reward))),
    ...rewardTermMeans(samples),
    ...summarize('response_length', samples.map(policyTokens)),
    'response_length/clip_ratio': meanOf(samples.map((sample) => (isTruncated(sample) ? 1 : 0))),
    ...summarize('prompt_length', samples.map(promptTokens)),
    ...summarize('num_turns', turns),
    'search/calls_per_rollout': searches.length / samples.length,
    'search/answer_without_search': meanOf(samples.map((s) => (answersUnsearched(s) ? 1 : 0))),
    'search/duplicate_query_ratio': duplicateQueries(samples) / Math.max(searches.length, 1),
    'search/valid_action_ratio': 1 - invalid / Math.max(sumOf(turns), 1),
    'search/error_ratio': meanOf(searches.map(({ error }) => (error === undefined ? 0 : 1))),
    'search/empty_result_ratio': meanOf(
      searches.map(({ results }) => (results.length > 0 ? 0 : 1)),
    ),
    ...accuracyByGroup(samples),
  };
}

/** Of dynamic sampling: how much was sampled, kept and thrown away. */
export function samplingMetrics(
  collected: CollectedBatch,
  samplesPerTask: number,
): Record<string, number> {
  const { generated, expired, batch, surplus } = collected;
  const share = (verdict: GeneratedGroup['verdict']): number =>
    meanOf(generated.map((group) => (group.verdict === verdict ? 1 : 0)));
  const rejected = generated.filter(({ verdict }) => verdict !== 'accepted');
  const samples = generated.flatMap((group) => group.samples);
  return {
    ...(generated.length > 0
      ? {
          'dapo/keep_rate': share('accepted'),
          'dapo/all_correct': share('all-right'),
          'dapo/all_wrong': share('all-wrong'),
          'dapo/equal_rewards': share('equal-rewards'),
          'dapo/failed': share('failed'),
        }
      : {}),
    'dapo/gen_batches': collected.rounds,
    'dapo/generated_groups': generated.length,
    'dapo/train_groups': batch.length,
    'dapo/surplus_groups': surplus.length,
    'dapo/expired_groups': expired.length,
    'dapo/missing_samples': generated.length * samplesPerTask - samples.length,
    'dapo/invalid_rewards': samples.filter(({ reward }) => !Number.isFinite(reward)).length,
    'dapo/generated_tokens': sumOf(samples.map(policyTokens)),
    'dapo/wasted_tokens': sumOf(
      [...rejected, ...expired].flatMap((group) => group.samples.map(policyTokens)),
    ),
  };
}

/** Optimizer steps between a sample's weights and those before this step's first update, on average. */
export function versionLag({ batch }: CollectedBatch, version: number): number {
  const samples = batch.flatMap((group) => group.samples);
  return meanOf(samples.map(({ policyVersion }) => version - policyVersion));
}

/** `tasks/<state>`: visits of tasks since the beginning. */
export function ledgerMetrics(ledger: TaskLedger): Record<string, number> {
  return Object.fromEntries(
    Object.entries(ledger).map(([name, visits]) => [`tasks/${name}`, visits]),
  );
}

/** Wall-clock columns: the only ones that differ between two runs of one seed. */
export function clockMetrics(
  at: { started: number; collectedAt: number; ended: number },
  { generated }: CollectedBatch,
): Record<string, number> {
  const seconds = (at.ended - at.started) / 1000;
  const tokens = sumOf(generated.flatMap(({ samples }) => samples.map(({ ids }) => ids.length)));
  return {
    'timing_s/rollout': (at.collectedAt - at.started) / 1000,
    'timing_s/update': (at.ended - at.collectedAt) / 1000,
    'timing_s/step': seconds,
    'perf/throughput': tokens / seconds,
  };
}

/** `reward/<term>`: mean of each reward term over the samples that have it. */
function rewardTermMeans(samples: readonly Sample[]): Record<string, number> {
  const names = [...new Set(samples.flatMap(({ rewardTerms }) => Object.keys(rewardTerms)))].sort();
  return Object.fromEntries(
    names.map((name) => {
      const values = samples.flatMap(({ rewardTerms }) => rewardTerms[name] ?? []);
      return [`reward/${name}`, meanOf(finite(values))];
    }),
  );
}

/** `curriculum/acc_by_masks/3` for task group k3; `curriculum/acc_by_group/hop2` for others. */
function accuracyByGroup(samples: readonly Sample[]): Record<string, number> {
  const names = [...new Set(samples.map(({ group }) => group))].sort();
  return Object.fromEntries(
    names.map((name) => {
      const masks = /^k(\d+)$/.exec(name)?.[1];
      const key =
        masks === undefined
          ? `curriculum/acc_by_group/${name}`
          : `curriculum/acc_by_masks/${masks}`;
      const members = samples.filter(({ group }) => group === name);
      return [key, meanOf(members.map(({ outcome }) => outcome))];
    }),
  );
}

function answersUnsearched({ finishReason, searches }: Sample): boolean {
  return finishReason === 'answer' && searches.length === 0;
}

/** Searches that repeat an earlier query of their episode. */
function duplicateQueries(samples: readonly Sample[]): number {
  return sumOf(
    samples.map(({ searches }) => searches.length - new Set(searches.map((s) => s.query)).size),
  );
}

function policySegments(sample: Sample): number {
  return sample.segments.filter(({ author, start, end }) => author === 'policy' && end > start)
    .length;
}

function promptTokens(sample: Sample): number {
  return Math.max(sample.mask.indexOf(1), 0);
}

/** The last turn was neither a search nor an answer. */
function endsInvalid(reason: Sample['finishReason']): boolean {
  return reason === 'invalid-action' || isTruncated({ finishReason: reason });
}

function finite(values: readonly number[]): number[] {
  return values.filter(Number.isFinite);
}
