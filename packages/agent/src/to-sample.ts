// From an episode to a training sample: reward terms, reward and outcome, given by whoever scores.
import { checkSample, type Sample, type Task } from '@masksearch/core';
import type { Episode } from './play-episode.ts';

export type SampleScore = Pick<Sample, 'rewardTerms' | 'reward' | 'outcome'>;

/** Scores an episode against its task. */
export type ScoreEpisode = (task: Task, episode: Episode) => SampleScore | Promise<SampleScore>;

/** @throws {InputError} the sample breaks an invariant of `checkSample`. */
export async function toSample(task: Task, episode: Episode, score: ScoreEpisode): Promise<Sample> {
  const { rewardTerms, reward, outcome } = await score(task, episode);
  const { messages: _messages, policyTokens: _policyTokens, ...tokens } = episode;
  const sample: Sample = { ...tokens, rewardTerms, reward, outcome };
  checkSample(sample);
  return sample;
}
