// Trajectory records, made from episodes.
import type { Trajectory } from '@masksearch/core';
import type { Episode } from './play-episode.ts';

/** The record of an episode. */
export function toTrajectory(
  episode: Episode,
  made: Pick<Trajectory, 'teacher' | 'verdict'>,
): Trajectory {
  const { taskId, group, messages, searches, answer, finishReason, policyTokens } = episode;
  return {
    version: 1,
    taskId,
    group,
    messages,
    searches,
    answer,
    finishReason,
    verdict: made.verdict,
    teacher: made.teacher,
    cost: { policyTokens, searches: searches.length },
  };
}
