// Advantages relative to the group: how much better a sample did than its siblings. All in float64.
import { ConfigError } from '@masksearch/core';

/** Rewards that differ by no more than this carry no signal. */
export const EQUAL_REWARDS = 1e-6;

export type GroupAdvantages =
  | {
      readonly kept: true;
      /** One per reward, in order; null where the reward was not finite. The rest sum to 0. */
      readonly advantages: readonly (number | null)[];
    }
  | { readonly kept: false; readonly reason: 'too-few-rewards' | 'equal-rewards' };

/**
 * GRPO's advantage: (reward − mean) / max(deviation, minimumDeviation), over one group.
 *
 * The deviation is that of a sample (divisor n − 1), as in verl and TRL; the DAPO paper does not
 * say which. Rewards that are not finite are left out of mean and deviation.
 *
 * @param rewards          One per sample of the group.
 * @param minimumDeviation Floor of the divisor, in units of the reward; keeps noise from being
 *                         blown up to full size. Default 1e-3.
 * @returns Advantages, or why the group must be dropped: fewer than two finite rewards, or all equal.
 * @throws {ConfigError} minimumDeviation is not positive.
 * @see GRPO, arXiv:2402.03300 §4.1; DAPO, arXiv:2503.14476 Eq. 9
 */
export function groupAdvantages(
  rewards: readonly number[],
  { minimumDeviation = 1e-3 }: { readonly minimumDeviation?: number } = {},
): GroupAdvantages {
  if (!(minimumDeviation > 0)) {
    throw new ConfigError(
      `groupAdvantages: expected minimumDeviation > 0, received ${minimumDeviation}.`,
    );
  }
  const centred = centredRewards(rewards);
  if (!centred.kept) return centred;
  const differences = sortedFinite(centred.advantages.map((value) => value ?? Number.NaN));
  const squares = differences.reduce((sum, value) => sum + value * value, 0);
  const deviation = Math.max(Math.sqrt(squares / (differences.length - 1)), minimumDeviation);
  return {
    kept: true,
    advantages: centred.advantages.map((value) => (value === null ? null : value / deviation)),
  };
}

/**
 * Dr. GRPO's advantage: reward − mean, without division by the deviation.
 *
 * @see arXiv:2503.20783 §3
 */
export function centredRewards(rewards: readonly number[]): GroupAdvantages {
  const finite = sortedFinite(rewards);
  const smallest = finite[0];
  const largest = finite[finite.length - 1];
  if (smallest === undefined || largest === undefined || finite.length < 2) {
    return { kept: false, reason: 'too-few-rewards' };
  }
  if (largest - smallest <= EQUAL_REWARDS) return { kept: false, reason: 'equal-rewards' };
  const mean = finite.reduce((sum, reward) => sum + reward, 0) / finite.length;
  return {
    kept: true,
    advantages: rewards.map((reward) => (Number.isFinite(reward) ? reward - mean : null)),
  };
}

/** Sorted, so that sums over them, and with these every advantage, do not depend on the samples' order. */
function sortedFinite(values: readonly number[]): number[] {
  return values.filter(Number.isFinite).sort((a, b) => a - b);
}
