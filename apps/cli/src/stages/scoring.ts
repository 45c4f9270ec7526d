// The reward that the configuration asks for, as the function that episodes are scored with.
import type { ScoreEpisode } from '@masksearch/agent';
import {
  briefRecall,
  exactMatch,
  scoreEpisode,
  tokenF1,
  type AnswerMetric,
  type RewardConfig,
} from '@masksearch/rewards';
import type { RunConfig } from '../config/run-config.ts';

const METRICS: Readonly<Record<RunConfig['reward']['metric'], AnswerMetric>> = {
  recall: briefRecall(),
  f1: tokenF1,
  exact: exactMatch,
};

export function episodeScorer({ reward, episode }: RunConfig): ScoreEpisode {
  const { formatWeight, answerWeight, overlongTokens } = reward;
  const config: RewardConfig = {
    formatWeight,
    answerWeight,
    metric: METRICS[reward.metric],
    ...(overlongTokens === 0
      ? {}
      : { overlong: { maxTokens: episode.maxPolicyTokens, cacheTokens: overlongTokens } }),
  };
  return (task, { answer, finishReason, mask }) => {
    const policyTokens = mask.reduce((sum, bit) => sum + bit, 0);
    return scoreEpisode(task, { answer, finishReason, policyTokens }, config);
  };
}
