// The reward of an episode: its terms, how they combine, and the binary outcome.
import { ConfigError, goldsOf, type FinishReason, type Task } from '@masksearch/core';
import { briefRecall, type AnswerMetric } from './answer-metrics.ts';
import { softOverlongPenalty, type OverlongLimits } from './overlong.ts';
import { outcome, perSlotScores, type SlotRequest } from './slot-scores.ts';

/** What the reward looks at. */
export interface ScoredEpisode {
  /** The answer per slot, or null if none was given. */
  readonly answer: readonly string[] | null;
  readonly finishReason: FinishReason;
  /** Tokens that the policy wrote; tool output does not count. */
  readonly policyTokens: number;
}

export interface RewardConfig {
  readonly formatWeight: number;
  readonly answerWeight: number;
  /** Scores one slot: `briefRecall()`, `tokenF1`, `exactMatch` or your own function. */
  readonly metric: AnswerMetric;
  /** Without it length is not punished. */
  readonly overlong?: OverlongLimits;
}

/** The paper is silent on the weights; the format alone may not be worth much. */
export const defaultRewardConfig: RewardConfig = {
  formatWeight: 0.1,
  answerWeight: 0.9,
  metric: briefRecall(),
};

export interface RewardTerms {
  /** 1 for a well-formed answer, else 0. */
  readonly format: number;
  /** Mean score over slots, in [0, 1]; 0 without a valid format. */
  readonly answer: number;
  /** In [-1, 0]. */
  readonly overlong: number;
}

export interface EpisodeScore {
  readonly rewardTerms: RewardTerms & Readonly<Record<string, number>>;
  readonly reward: number;
  /** 1 if every slot is exactly right: what dynamic sampling filters on. */
  readonly outcome: 0 | 1;
}

/**
 * 1 if the episode ended with an answer that says something, else 0.
 *
 * @param slots Entries that the answer must have, as with masks: leaving out the last ones is not brief
 *              but unfinished. Default: any number.
 */
export function formatReward({ answer, finishReason }: ScoredEpisode, slots?: number): 0 | 1 {
  if (finishReason !== 'answer' || answer === null) return 0;
  if (slots !== undefined && answer.length !== slots) return 0;
  return answer.some((text) => text.trim() !== '') ? 1 : 0;
}

/** formatWeight · format + answerWeight · answer + overlong. @throws {ConfigError} a weight is negative. */
export function combineRewards(
  terms: RewardTerms,
  weights: Pick<RewardConfig, 'formatWeight' | 'answerWeight'>,
): number {
  const { formatWeight, answerWeight } = weights;
  if (!(formatWeight >= 0 && answerWeight >= 0)) {
    throw new ConfigError(
      `combineRewards: expected weights >= 0, received ${formatWeight} and ${answerWeight}.`,
    );
  }
  return formatWeight * terms.format + answerWeight * terms.answer + terms.overlong;
}

/**
 * Scores one episode of a task. The answer counts only in a valid format, which for masks has an entry
 * for each; its reward is the mean over slots, by position for masks and by the best matching for lists.
 *
 * @throws {ConfigError} the configuration contradicts itself.
 */
export function scoreEpisode(
  task: Task,
  episode: ScoredEpisode,
  config: RewardConfig = defaultRewardConfig,
): EpisodeScore {
  const request = slotRequest(task, episode.answer);
  const format = formatReward(episode, request.ordered ? request.golds.length : undefined);
  const { overlong } = config;
  const rewardTerms = {
    format,
    answer: format === 1 ? mean(perSlotScores(request, config.metric)) : 0,
    overlong: overlong ? softOverlongPenalty(episode.policyTokens, overlong) : 0,
  };
  return {
    rewardTerms,
    reward: combineRewards(rewardTerms, config),
    outcome: format === 1 ? outcome(request) : 0,
  };
}

/** The slots of a task against an answer. */
export function slotRequest(task: Task, answer: readonly string[] | null): SlotRequest {
  return { answer, golds: goldsOf(task), ordered: task.type === 'ramp' };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
