// Who writes the policy's turns: a sampled model, or a teacher. One loop (play-episode.ts) serves all.
import { MaskSearchError, type StreamKey } from '@masksearch/core';
import type { Sampler, SamplerSequence, StopSequence } from '@masksearch/model';

export interface TurnRequest {
  /** From 0. */
  readonly turn: number;
  readonly maxTokens: number;
  readonly signal: AbortSignal;
}

export interface PlayedTurn {
  readonly ids: Int32Array;
  /** (n) nats. */
  readonly logProbs: Float32Array;
  readonly reason: 'stop' | 'length' | 'context-full' | 'cancelled';
}

export interface Player {
  act(request: TurnRequest): Promise<PlayedTurn>;
  /** Shows the outcome of the search that the last turn asked for. */
  observe(observation: { readonly text: string; readonly ids: Int32Array }): void;
  close(): void;
}

/** A turn that is written as text by a teacher, cut at its budget; it was not sampled, so its log-probabilities are 0. */
export function writtenTurn(ids: Int32Array, maxTokens: number): PlayedTurn {
  const fits = ids.length <= maxTokens;
  const kept = fits ? ids : ids.slice(0, maxTokens);
  return {
    ids: kept,
    logProbs: new Float32Array(kept.length),
    reason: fits ? 'stop' : 'length',
  };
}

/** Plays with a model: one sampler sequence, its cache kept between the turns. */
export class SamplerPlayer implements Player {
  readonly #sequence: SamplerSequence;
  readonly #stop: readonly StopSequence[];
  readonly #temperature: number;
  readonly #topP: number;

  constructor(options: {
    sampler: Sampler;
    prompt: Int32Array;
    key: StreamKey;
    stop: readonly StopSequence[];
    temperature: number;
    /** Default 1. */
    topP?: number;
  }) {
    this.#sequence = options.sampler.open(options.prompt, options.key);
    this.#stop = options.stop;
    this.#temperature = options.temperature;
    this.#topP = options.topP ?? 1;
  }

  async act({ turn, maxTokens, signal }: TurnRequest): Promise<PlayedTurn> {
    try {
      const { tokens, logProbs, reason } = await this.#sequence.generate({
        turn,
        maxTokens,
        signal,
        stop: this.#stop,
        temperature: this.#temperature,
        topP: this.#topP,
      });
      return { ids: tokens, logProbs, reason };
    } catch (error) {
      const wasCancelled = MaskSearchError.isInstance(error) && error.code === 'cancelled';
      if (!wasCancelled || !signal.aborted) throw error;
      return { ids: new Int32Array(), logProbs: new Float32Array(), reason: 'cancelled' };
    }
  }

  observe({ ids }: { readonly ids: Int32Array }): void {
    this.#sequence.append(ids);
  }

  close(): void {
    this.#sequence.close();
  }
}
