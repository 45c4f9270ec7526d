// Tasks that are not played, and the record of one about which nothing was written.
import type { Task } from '@masksearch/core';
import type { EpisodeCodec } from '../episode-codec.ts';
import type { EpisodeConfig } from '../episode-config.ts';
import type { Episode } from '../play-episode.ts';

interface Fitness {
  readonly isContaminated?: ((task: Task) => boolean) | undefined;
  readonly episode: EpisodeConfig;
}

/** Why a task is not played at all, or null. */
export function unfitness(
  task: Task,
  { isContaminated, episode }: Fitness,
  codec: EpisodeCodec,
): string | null {
  if (isContaminated?.(task)) return 'contaminated';
  const half = episode.maxContextTokens / 2;
  return codec.prompt(task).ids.length > half ? 'prompt fills half of the context' : null;
}

/** The episode of a task about which nothing was written. */
export function unplayed(task: Task, sampleIndex: number, codec: EpisodeCodec): Episode {
  const { text } = codec.prompt(task);
  return {
    version: 1,
    taskId: task.id,
    group: task.group,
    sampleIndex,
    policyVersion: 0,
    ids: [],
    mask: [],
    logProbs: [],
    segments: [],
    searches: [],
    answer: null,
    finishReason: 'cancelled',
    messages: [{ author: 'user', text }],
    policyTokens: 0,
  };
}
