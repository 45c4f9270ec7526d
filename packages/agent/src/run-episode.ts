// An episode played by a model; the same seed gives the same sample, whatever else runs beside it.
import { streamKey, type KeyPart, type Task } from '@masksearch/core';
import type { Sampler } from '@masksearch/model';
import type { SearchTool } from '@masksearch/search';
import type { Tokenizer } from '@masksearch/tokenizer';
import type { EpisodeCodec } from './episode-codec.ts';
import type { EpisodeConfig } from './episode-config.ts';
import { playEpisode, type Episode } from './play-episode.ts';
import { SamplerPlayer } from './player.ts';
import { ProtocolCodec } from './protocol-codec.ts';

/** What episodes share. */
export interface EpisodeEnvironment {
  readonly tokenizer: Tokenizer;
  /** How the model is talked to; default the plain protocol. */
  readonly codec?: EpisodeCodec | undefined;
  readonly sampler: Sampler;
  readonly search: SearchTool;
  readonly config: EpisodeConfig;
  /** Names the random streams, e.g. `[runSeed, 'rollout', step]`; task id and sample index are added. */
  readonly keyParts: readonly KeyPart[];
  /** Optimizer steps taken by the model; stamped on samples. */
  readonly policyVersion: number;
  readonly signal?: AbortSignal | undefined;
}

export interface EpisodeRequest extends EpisodeEnvironment {
  readonly task: Task;
  readonly sampleIndex: number;
}

/**
 * Plays one episode with the sampler.
 * @throws see `playEpisode`; errors of the sampler pass through.
 */
export async function runEpisode(request: EpisodeRequest): Promise<Episode> {
  const { task, sampleIndex, sampler, config, keyParts } = request;
  const codec = request.codec ?? new ProtocolCodec(request.tokenizer);
  return playEpisode({
    task,
    sampleIndex,
    codec,
    config,
    policyVersion: request.policyVersion,
    search: request.search,
    signal: request.signal,
    open: (prompt) =>
      new SamplerPlayer({
        sampler,
        prompt,
        key: streamKey(...keyParts, task.id, sampleIndex),
        stop: codec.stop,
        temperature: config.temperature,
        topP: config.topP,
      }),
  });
}
