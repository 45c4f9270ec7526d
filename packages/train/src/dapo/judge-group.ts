// Which groups of samples may be trained on: dynamic sampling's filter.
import type { Sample } from '@masksearch/core';
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

/** Plain GRPO's filter: only groups whose rewards are all equal, which have no gradient anyway. */
export function judgeByReward(samples: readonly Sample[]): GroupVerdict {
  const rewards = usableSamples(samples).map(({ reward }) => reward);
  if (rewards.length < 2) return 'failed';
  return Math.max(...rewards) - Math.min(...rewards) <= EQUAL_REWARDS
    ? 'equal-rewards'
    : 'accepted';
}
