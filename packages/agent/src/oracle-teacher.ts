// Makes trajectories without a model: the oracle plays, the judge decides, both kinds are kept.
import type { Task, Trajectory } from '@masksearch/core';
import type { SearchTool } from '@masksearch/search';
import type { Tokenizer } from '@masksearch/tokenizer';
import { answerRenderer } from './answer-form.ts';
import { concurrentMap } from './concurrent-map.ts';
import type { EpisodeCodec } from './episode-codec.ts';
import type { EpisodeConfig } from './episode-config.ts';
import { judge } from './judge.ts';
import { OraclePlayer } from './oracle-player.ts';
import { playEpisode } from './play-episode.ts';
import { ProtocolCodec } from './protocol-codec.ts';
import { toTrajectory } from './trajectory.ts';

export interface TeacherEnvironment {
  readonly tokenizer: Tokenizer;
  /** How students will be talked to; default the plain protocol. */
  readonly codec?: EpisodeCodec | undefined;
  readonly search: SearchTool;
  /** The limits under which students will play: a trajectory that breaks one is rejected. */
  readonly config: EpisodeConfig;
  /**
   * Draws in which order each look-up tries its queries, so that students see searches that fail and what is done then;
   * without it the surest comes first.
   */
  readonly querySeed?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * One task played by the oracle, with real searches.
 * @returns a trajectory whose verdict is the judge's, or `evidence-not-found` where no search showed what was needed.
 * @throws as `playEpisode`.
 */
export async function teach(task: Task, environment: TeacherEnvironment): Promise<Trajectory> {
  const { config, search, signal, querySeed } = environment;
  const codec = environment.codec ?? new ProtocolCodec(environment.tokenizer);
  const render = answerRenderer(task, config);
  const oracle = new OraclePlayer(task, { codec, render, querySeed });
  const episode = await playEpisode({
    task,
    sampleIndex: 0,
    policyVersion: 0,
    codec,
    search,
    config,
    signal,
    open: () => oracle,
  });
  const verdict =
    oracle.failure === null ? judge(task, episode) : { accepted: false, reason: oracle.failure };
  return toTrajectory(episode, { teacher: 'oracle', verdict });
}

/** Many tasks, a bounded number at a time; trajectories in the order of the tasks. @throws as `teach`. */
export function teachAll(
  tasks: readonly Task[],
  environment: TeacherEnvironment & { readonly concurrency: number },
): Promise<Trajectory[]> {
  const { concurrency, signal } = environment;
  return concurrentMap(tasks, { concurrency, signal }, (task, either) =>
    teach(task, { ...environment, signal: either }),
  );
}
