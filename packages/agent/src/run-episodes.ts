// Many episodes at once, free of each other: none waits for another's turn, tool or end.
import type { Sample, Task } from '@masksearch/core';
import { concurrentMap } from './concurrent-map.ts';
import type { Episode } from './play-episode.ts';
import { runEpisode, type EpisodeEnvironment } from './run-episode.ts';
import { toSample, type ScoreEpisode } from './to-sample.ts';

export interface EpisodesRequest extends EpisodeEnvironment {
  readonly tasks: readonly Task[];
  /** Episodes per task, sample indices 0…G−1. */
  readonly samplesPerTask: number;
  /** Episodes under way at most. */
  readonly concurrency: number;
  readonly score: ScoreEpisode;
  /** Called as episodes end, in the order of completion. */
  readonly onEpisode?: (finished: FinishedEpisode) => void;
}

/** A sample and the texts behind it. */
export interface FinishedEpisode {
  readonly task: Task;
  readonly episode: Episode;
  readonly sample: Sample;
}

/**
 * Plays and scores `samplesPerTask` episodes of every task. Results come in the order of (task, sampleIndex) and do not
 * depend on `concurrency`.
 * @throws the first error of an episode, after the others were cancelled; CancelledError if the caller's signal fired, so
 *   that no cut-off sample is taken for a whole one.
 */
export async function runEpisodes(request: EpisodesRequest): Promise<FinishedEpisode[]> {
  const { tasks, samplesPerTask, concurrency, score, onEpisode } = request;
  const jobs = tasks.flatMap((task) =>
    Array.from({ length: samplesPerTask }, (_, sampleIndex) => ({ task, sampleIndex })),
  );
  return concurrentMap(jobs, { concurrency, signal: request.signal }, async (job, signal) => {
    const episode = await runEpisode({ ...request, ...job, signal });
    const sample = await toSample(job.task, episode, score);
    const finished = { task: job.task, episode, sample };
    onEpisode?.(finished);
    return finished;
  });
}

/** The samples of one task, by sample index. @throws as `runEpisodes`. */
export async function collectGroup(
  request: Omit<EpisodesRequest, 'tasks'> & { readonly task: Task },
): Promise<Sample[]> {
  const episodes = await runEpisodes({ ...request, tasks: [request.task] });
  return episodes.map(({ sample }) => sample);
}
