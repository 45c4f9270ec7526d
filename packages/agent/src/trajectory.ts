// Trajectory records: made from episodes, written accepted and rejected apart.
import { join } from 'node:path';
import { writeJsonl, type Trajectory } from '@masksearch/core';
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

/** Number of trajectories by verdict: `accepted`, and `rejected: <reason>` for each reason. */
export type VerdictCounts = Record<string, number>;

/**
 * Writes `accepted.jsonl` and `rejected.jsonl` in a folder, each whole or not at all.
 * @returns how many of each verdict.
 */
export function writeTrajectories(
  folder: string,
  trajectories: readonly Trajectory[],
): VerdictCounts {
  const counts: VerdictCounts = { accepted: 0 };
  for (const { verdict } of trajectories) {
    const key = verdict.accepted ? 'accepted' : `rejected: ${verdict.reason}`;
    counts[key] = (counts[key] ?? 0) + 1;
  }
  const [accepted, rejected] = [true, false].map((wanted) =>
    trajectories.filter(({ verdict }) => verdict.accepted === wanted),
  );
  writeJsonl(join(folder, 'accepted.jsonl'), accepted ?? []);
  writeJsonl(join(folder, 'rejected.jsonl'), rejected ?? []);
  return counts;
}
