// Which groups of samples may be trained on: dynamic sampling's filter.
import { InputError, type Sample } from '@masksearch/core';
import { EQUAL_REWARDS } from '../group-advantages.ts';

/** `failed`: fewer than two samples with a finite reward came back. */
export type GroupVerdict = 'accepted' | 'all-right' | 'all-wrong' | 'equal-rewards' | 'failed';

/** The samples that can take part: those whose reward is a finite number. */
export function usableSamples(samples: readonly Sample[]): Sample[] {
  return samples.filter(({ reward }) => Number.isFinite(reward));
}

/**
 * DAPO's filter, 0 < number right < G, on the binary outcome. The shaped reward would not do: format
 * or length terms make nearly every all-wrong group look diverse, and it would be trained on noise.
 *
 * @see DAPO, arXiv:2503.14476 Eq. 11
 */
export function judgeByOutcome(samples: readonly Sample[]): GroupVerdict {
  const usable = usableSamples(samples);
  if (usable.length < 2) return 'failed';
  const right = usable.filter(({ outcome }) => outcome === 1).length;
  if (right === usable.length) return 'all-right';
  if (right === 0) return 'all-wrong';
  return judgeByReward(usable);
}

/**
 * DAPO's filter on the answer's score in place of the outcome: with several slots, some right and others
 * wrong is a signal too, and a group that is never all right still has it. Format and length do not
 * count, for the reason above. `all-wrong` is also said of answers that are equally good but not right.
 *
 * @throws {InputError} a sample has no reward term `answer`.
 */
export function judgeByAnswer(samples: readonly Sample[]): GroupVerdict {
  const usable = usableSamples(samples);
  if (usable.length < 2) return 'failed';
  const scores = usable.map(answerScore);
  if (Math.max(...scores) - Math.min(...scores) > EQUAL_REWARDS) return judgeByReward(usable);
  return usable.every(({ outcome }) => outcome === 1) ? 'all-right' : 'all-wrong';
}

/** Plain GRPO's filter: only groups whose rewards are all equal, which have no gradient anyway. */
export function judgeByReward(samples: readonly Sample[]): GroupVerdict {
  const rewards = usableSamples(samples).map(({ reward }) => reward);
  if (rewards.length < 2) return 'failed';
  return Math.max(...rewards) - Math.min(...rewards) <= EQUAL_REWARDS
    ? 'equal-rewards'
    : 'accepted';
}

function answerScore({ taskId, rewardTerms }: Sample): number {
  const score = rewardTerms['answer'];
  if (score !== undefined) return score;
  const terms = Object.keys(rewardTerms).join(', ') || 'none';
  throw new InputError(
    `judgeByAnswer: expected samples with the reward term answer, received ${terms} in one of ${taskId}; filter by outcome instead.`,
  );
}
