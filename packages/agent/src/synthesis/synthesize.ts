// Makes one trajectory with language models: they play, the judges decide, and the reason is kept either way.
import {
  CancelledError,
  MaskSearchError,
  type Provenance,
  type Task,
  type Trajectory,
} from '@masksearch/core';
import type { ChatModel } from '@masksearch/chat';
import type { SearchTool } from '@masksearch/search';
import type { Tokenizer } from '@masksearch/tokenizer';
import type { EpisodeCodec } from '../episode-codec.ts';
import type { EpisodeConfig } from '../episode-config.ts';
import { playEpisode, type Episode } from '../play-episode.ts';
import { ProtocolCodec } from '../protocol-codec.ts';
import { toTrajectory } from '../trajectory.ts';
import { decide, type Decision } from './decide.ts';
import { ModelPlayer, type TeacherModels } from './model-player.ts';
import { promptsFor } from './prompts/language.ts';
import { promptHash, ROLES } from './prompts/prompts.ts';
import type { SynthesisConfig } from './synthesis-config.ts';
import { unfitness, unplayed } from './unplayed.ts';

export interface SynthesisEnvironment {
  readonly tokenizer: Tokenizer;
  /** How students will be talked to; default the plain protocol. */
  readonly codec?: EpisodeCodec | undefined;
  readonly search: SearchTool;
  readonly models: TeacherModels & { readonly judge: ChatModel | null };
  /** The limits under which students will play. */
  readonly episode: EpisodeConfig;
  readonly synthesis: SynthesisConfig;
  /** Decides what is drawn at random, together with task and sample index. */
  readonly seed: number;
  /** True for a task that shares text or title with an evaluation; no model is asked about it. */
  readonly isContaminated?: ((task: Task) => boolean) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Plays and judges one sample of a task.
 * @returns a trajectory, accepted or rejected with the reason.
 * @throws {BudgetError} the cost cap was reached. @throws {CancelledError} `signal` fired. @throws {ChatError} an
 *   endpoint cannot be reached or refuses us: nothing that another task could do better.
 */
export async function synthesize(
  task: Task,
  sampleIndex: number,
  environment: SynthesisEnvironment,
): Promise<Trajectory> {
  const { models, synthesis, seed, signal } = environment;
  const prompts = promptsFor(task, synthesis.language);
  const tokens = { input: 0, output: 0 };
  const call = {
    prompts,
    maxTokens: synthesis.maxReplyTokens,
    temperature: synthesis.temperature,
    topP: synthesis.topP,
    seed: seed * 1000 + sampleIndex,
    onUsage: (usage: { inputTokens: number; outputTokens: number }) => {
      tokens.input += usage.inputTokens;
      tokens.output += usage.outputTokens;
    },
  };
  const codec = environment.codec ?? new ProtocolCodec(environment.tokenizer);
  const { episode: episodeConfig } = environment;
  const player = new ModelPlayer({ task, codec, models, episode: episodeConfig, synthesis, call });
  const unfit = unfitness(task, environment, codec);
  const played =
    unfit === null
      ? await play(task, sampleIndex, environment, codec, player)
      : unplayed(task, sampleIndex, codec);
  const rejection = unfit ?? player.failure;
  const decision: Decision =
    rejection === null
      ? await decide({
          task,
          episode: played,
          judge: models.judge,
          synthesis,
          call: { ...call, signal },
        })
      : { verdict: { accepted: false, reason: rejection }, verdicts: {} };
  const provenance: Provenance = {
    roles: Object.fromEntries(ROLES.map((role) => [role, models[role]?.name ?? 'rule'])),
    prompts: Object.fromEntries(ROLES.map((role) => [role, promptHash(prompts, role)])),
    language: prompts.language,
    sampleIndex,
    reflections: player.reflections,
    verdicts: decision.verdicts,
    tokens,
  };
  const made = { teacher: models.observer.name, verdict: decision.verdict };
  return { ...toTrajectory(played, made), provenance };
}

async function play(
  task: Task,
  sampleIndex: number,
  environment: SynthesisEnvironment,
  codec: EpisodeCodec,
  player: ModelPlayer,
): Promise<Episode> {
  const { search, episode: config, signal } = environment;
  try {
    const episode = await playEpisode({
      task,
      sampleIndex,
      policyVersion: 0,
      codec,
      search,
      config,
      signal,
      open: () => player,
    });
    // An interrupted episode is no finding about its task.
    if (signal?.aborted)
      throw new CancelledError(`synthesize(${task.id}): cancelled.`, signal.reason);
    return episode;
  } catch (error) {
    if (signal?.aborted) throw error;
    // The first role failed, in time or not at all: there is no turn to record, but there is a reason.
    if (player.failure !== null) return unplayed(task, sampleIndex, codec);
    if (MaskSearchError.isInstance(error) && error.code === 'timeout') {
      return { ...unplayed(task, sampleIndex, codec), finishReason: 'episode-timeout' };
    }
    throw error;
  }
}
