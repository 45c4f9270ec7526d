// Makes one trajectory with a model that plays whole episodes itself, as a student does: it plays, the judges decide.
import { MaskSearchError, type Task, type Trajectory } from '@masksearch/core';
import type { ChatModel } from '@masksearch/chat';
import type { EpisodeCodec } from '../episode-codec.ts';
import type { Episode } from '../play-episode.ts';
import { ProtocolCodec } from '../protocol-codec.ts';
import { runEpisode, type EpisodeEnvironment } from '../run-episode.ts';
import { toTrajectory } from '../trajectory.ts';
import { decide, type Decision } from './decide.ts';
import { promptsFor } from './prompts/language.ts';
import { promptHash, ROLES } from './prompts/prompts.ts';
import type { SynthesisConfig } from './synthesis-config.ts';
import { unfitness, unplayed } from './unplayed.ts';

export interface PlayedSynthesis {
  /** Sampler, search and limits of the episodes. */
  readonly episodes: Omit<EpisodeEnvironment, 'signal'>;
  /** Who plays, as it is recorded. */
  readonly player: string;
  /** null for the rule check alone. */
  readonly judge: ChatModel | null;
  readonly synthesis: SynthesisConfig;
  /** True for a task that shares text or title with an evaluation; nobody plays it. */
  readonly isContaminated?: ((task: Task) => boolean) | undefined;
  readonly signal: AbortSignal;
}

/**
 * Plays and judges one sample of a task.
 * @returns a trajectory, accepted or rejected with the reason.
 * @throws as `synthesize`.
 */
export async function playAndJudge(
  task: Task,
  sampleIndex: number,
  options: PlayedSynthesis,
): Promise<Trajectory> {
  const { episodes, player, judge, synthesis, signal } = options;
  const prompts = promptsFor(task, synthesis.language);
  const tokens = { input: 0, output: 0 };
  const codec = episodes.codec ?? new ProtocolCodec(episodes.tokenizer);
  const unfit = unfitness(task, { ...options, episode: episodes.config }, codec);
  const played =
    unfit === null
      ? await play(task, sampleIndex, options, codec)
      : unplayed(task, sampleIndex, codec);
  const decision: Decision =
    unfit === null
      ? await decide({
          task,
          episode: played,
          judge,
          synthesis,
          call: {
            prompts,
            maxTokens: synthesis.maxReplyTokens,
            temperature: 0,
            seed: 0,
            signal,
            onUsage: (usage) => {
              tokens.input += usage.inputTokens;
              tokens.output += usage.outputTokens;
            },
          },
        })
      : { verdict: { accepted: false, reason: unfit }, verdicts: {} };
  const roles = ROLES.map((role) => [role, role === 'judge' ? (judge?.name ?? 'rule') : player]);
  const provenance = {
    roles: Object.fromEntries(roles) as Record<string, string>,
    prompts: judge === null ? {} : { judge: promptHash(prompts, 'judge') },
    language: prompts.language,
    sampleIndex,
    reflections: 0,
    verdicts: decision.verdicts,
    tokens,
  };
  return { ...toTrajectory(played, { teacher: player, verdict: decision.verdict }), provenance };
}

async function play(
  task: Task,
  sampleIndex: number,
  { episodes, signal }: PlayedSynthesis,
  codec: EpisodeCodec,
): Promise<Episode> {
  try {
    const played = await runEpisode({ ...episodes, codec, task, sampleIndex, signal });
    // An interrupted episode is no finding about its task.
    signal.throwIfAborted();
    return played;
  } catch (error) {
    if (signal.aborted || !MaskSearchError.isInstance(error) || error.code !== 'timeout') {
      throw error;
    }
    return { ...unplayed(task, sampleIndex, codec), finishReason: 'episode-timeout' };
  }
}
