// The function that dapo() samples with: groups of episodes, all under way at once.
import {
  concurrentMap,
  resolveEpisodeConfig,
  runEpisode,
  toSample,
  type Episode,
} from '@masksearch/agent';
import { TimeoutError, type Sample, type Task } from '@masksearch/core';
import type { LanguageModel } from '@masksearch/model';
import type { SearchTool } from '@masksearch/search';
import type { Collect } from '@masksearch/train';
import type { RunConfig } from '../config/run-config.ts';
import type { Conversation } from './conversation.ts';
import { episodeScorer } from './scoring.ts';

export interface CollectorOptions {
  readonly model: LanguageModel;
  readonly conversation: Conversation;
  readonly search: SearchTool;
  readonly config: RunConfig;
  readonly seed: number;
}

/** Every random stream is keyed by (seed, visit, task, sample): neither order nor concurrency matter. */
export function groupCollector(options: CollectorOptions): Collect<Task> {
  const { model, conversation, search, config, seed } = options;
  const { concurrency, temperature } = config.rl;
  const episode = resolveEpisodeConfig({ ...config.episode, temperature });
  const score = episodeScorer(config);
  return async (requests, { version, signal }) => {
    const sampler = model.sampler({
      maxSequences: concurrency,
      maxContextTokens: episode.maxContextTokens,
    });
    const jobs = requests.flatMap(({ task, serial, samples }, group) =>
      Array.from({ length: samples }, (_, sampleIndex) => ({ task, serial, sampleIndex, group })),
    );
    const groups: Sample[][] = requests.map(() => []);
    try {
      await concurrentMap(jobs, { concurrency, signal }, async (job, either) => {
        const { task, serial, sampleIndex, group } = job;
        const played = await unlessTimedOut(
          runEpisode({
            task,
            sampleIndex,
            ...conversation,
            sampler,
            search,
            config: episode,
            keyParts: [seed, 'rl', serial],
            policyVersion: version,
            signal: either,
          }),
        );
        if (played !== undefined) groups[group]?.push(await toSample(task, played, score));
      });
    } finally {
      await sampler.close();
    }
    return groups;
  };
}

/** An episode whose time ran out before the policy wrote anything is no sample; the group goes on without it. */
async function unlessTimedOut(episode: Promise<Episode>): Promise<Episode | undefined> {
  try {
    return await episode;
  } catch (error) {
    if (error instanceof TimeoutError) return undefined;
    throw error;
  }
}
