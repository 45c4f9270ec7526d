// Fills one step's batch: carried-over groups first, then rounds of sampling until it is full.
import { CancelledError, checkSample, InputError, type Sample } from '@masksearch/core';
import { expectedAcceptRate, observeRound, type AcceptRate } from './accept-rate.ts';
import { usableSamples, type GroupVerdict } from './judge-group.ts';
import type { Recipe } from './recipe.ts';
import type { StreamTask, TaskStream, TaskVisit, VisitResult } from './task-stream.ts';

/** Asks for one group: `samples` episodes of one task. */
export interface CollectRequest<T extends StreamTask> extends TaskVisit<T> {
  /** G. Number the samples 0..G−1. */
  readonly samples: number;
}

export interface CollectContext {
  /** `model.version`; every sample must carry it as its policyVersion. */
  readonly version: number;
  /** Rollout step, from 0, and round within it. */
  readonly step: number;
  readonly round: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * Rolls out every request and returns their samples in the order of the requests. A sample that could
 * not be made may be missing; a whole group may be empty. To be reproducible, draw from
 * streams keyed by (seed, request.serial, sample index). May reject with CancelledError once the
 * signal fires: the step is then given up and repeated on resumption.
 */
export type Collect<T extends StreamTask> = (
  requests: readonly CollectRequest<T>[],
  context: CollectContext,
) => Promise<readonly (readonly Sample[])[]>;

/** A group that passed the filter. */
export interface AcceptedGroup {
  readonly serial: number;
  /** Rollout step it was sampled in. */
  readonly step: number;
  /** In order of sampleIndex; without searches and reward terms, which nothing after this reads. */
  readonly samples: readonly Sample[];
}

/** Any group that was sampled, for the metrics. */
export interface GeneratedGroup {
  readonly samples: readonly Sample[];
  readonly verdict: GroupVerdict;
}

export interface CollectedBatch {
  /** At most `groupsPerStep`, oldest first. */
  readonly batch: readonly AcceptedGroup[];
  /** Accepted beyond that; for the next step. */
  readonly surplus: readonly AcceptedGroup[];
  /** All groups sampled in this step. */
  readonly generated: readonly GeneratedGroup[];
  readonly expired: readonly AcceptedGroup[];
  readonly rounds: number;
  readonly acceptRate: AcceptRate;
}

export interface CollectOptions<T extends StreamTask> {
  readonly recipe: Recipe;
  readonly collect: Collect<T>;
  readonly stream: TaskStream<T>;
  readonly step: number;
  readonly version: number;
  readonly groupsPerStep: number;
  readonly samplesPerTask: number;
  /** Steps that a surplus group may wait. */
  readonly maximumLagSteps: number;
  readonly surplus: readonly AcceptedGroup[];
  readonly acceptRate: AcceptRate;
  readonly signal: AbortSignal | undefined;
}

/**
 * @throws {InputError} `collect` returned samples that break its contract or a sample's invariants.
 * @throws {CancelledError} the signal fired and `collect` gave up.
 */
export async function collectGroups<T extends StreamTask>(
  options: CollectOptions<T>,
): Promise<CollectedBatch> {
  const { recipe, stream, step, groupsPerStep, maximumLagSteps } = options;
  const isFresh = (group: AcceptedGroup): boolean => step - group.step <= maximumLagSteps;
  const expired = options.surplus.filter((group) => !isFresh(group));
  const accepted = options.surplus.filter(isFresh);
  stream.expire(expired.length);
  const generated: GeneratedGroup[] = [];
  let { acceptRate } = options;
  let rounds = 0;
  while (accepted.length < groupsPerStep) {
    const need = groupsPerStep - accepted.length;
    const size = recipe.planRound({
      need,
      round: rounds,
      acceptRate: expectedAcceptRate(acceptRate),
    });
    if (size === 0) break;
    const round = await sampleRound(options, size, rounds);
    generated.push(...round.generated);
    accepted.push(...round.accepted);
    acceptRate = observeRound(acceptRate, round.accepted.length, size - round.accepted.length);
    rounds++;
  }
  const surplus = accepted.slice(groupsPerStep);
  return {
    batch: accepted.slice(0, groupsPerStep),
    surplus,
    generated,
    expired,
    rounds,
    acceptRate,
  };
}

async function sampleRound<T extends StreamTask>(
  options: CollectOptions<T>,
  size: number,
  round: number,
): Promise<{ generated: GeneratedGroup[]; accepted: AcceptedGroup[] }> {
  const { stream, step, version, samplesPerTask, recipe, signal } = options;
  const requests = stream.take(size, step).map((visit) => ({ ...visit, samples: samplesPerTask }));
  const groups = await options.collect(requests, { version, step, round, signal });
  if (groups.length !== requests.length) {
    throw new InputError(
      `dapo: expected collect to return ${requests.length} groups, received ${groups.length}.`,
    );
  }
  if (signal?.aborted && groups.flat().some(({ finishReason }) => finishReason === 'cancelled')) {
    throw new CancelledError('dapo: cancelled during rollouts.', signal.reason);
  }
  const generated: GeneratedGroup[] = [];
  const accepted: AcceptedGroup[] = [];
  requests.forEach((request, index) => {
    const samples = checkGroup(groups[index] ?? [], request, version);
    const verdict = recipe.judge(samples);
    generated.push({ samples, verdict });
    stream.settle(visitResult(verdict), 1);
    if (verdict !== 'accepted') return;
    const usable = usableSamples(samples).map((sample) => ({
      ...sample,
      searches: [],
      rewardTerms: {},
    }));
    accepted.push({ serial: request.serial, step, samples: usable });
  });
  return { generated, accepted };
}

/**
 * The group's samples in order of sampleIndex, whatever order they were finished in. One in which the
 * policy wrote nothing has nothing to train on and is left out.
 */
function checkGroup<T extends StreamTask>(
  samples: readonly Sample[],
  request: CollectRequest<T>,
  version: number,
): readonly Sample[] {
  const where = `dapo: group of task ${request.task.id}`;
  const trainable = samples.filter(({ mask }) => mask.includes(1));
  const sorted = trainable.sort((a, b) => a.sampleIndex - b.sampleIndex);
  sorted.forEach((sample, index) => {
    checkSample(sample);
    const { taskId, sampleIndex, policyVersion } = sample;
    if (taskId !== request.task.id) {
      throw new InputError(`${where}: expected samples of this task, received one of ${taskId}.`);
    }
    if (sampleIndex >= request.samples || sorted[index - 1]?.sampleIndex === sampleIndex) {
      throw new InputError(
        `${where}: expected sample indices 0..${request.samples - 1}, each once, received ${sampleIndex}.`,
      );
    }
    if (policyVersion !== version) {
      throw new InputError(
        `${where}: expected samples of policy version ${version}, received ${policyVersion}.`,
      );
    }
  });
  return sorted;
}

function visitResult(verdict: GroupVerdict): VisitResult {
  if (verdict === 'accepted' || verdict === 'failed') return verdict;
  return 'rejected';
}
