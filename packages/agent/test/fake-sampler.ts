// A sampler without a model, for tests: a function gives the next token, and stop sequences work as in the port.
import { philox4x32, type StreamKey } from '@masksearch/core';
import type { GenerateRequest, GenerateResult, Sampler, SamplerSequence } from '@masksearch/model';

/** What the next token may depend on. */
export interface TokenContext {
  /** Everything the sequence holds, prompt included. */
  readonly ids: readonly number[];
  readonly turn: number;
  /** Tokens sampled in this turn so far. */
  readonly position: number;
  readonly key: StreamKey;
}

export class FakeSampler implements Sampler {
  readonly #nextToken: (context: TokenContext) => number;
  readonly #pause: () => Promise<void>;
  /** Sequences open now, and the most there ever were. */
  openSequences = 0;
  peak = 0;

  constructor(
    nextToken: (context: TokenContext) => number,
    pause: () => Promise<void> = () => Promise.resolve(),
  ) {
    this.#nextToken = nextToken;
    this.#pause = pause;
  }

  open(tokens: Int32Array, key: StreamKey): SamplerSequence {
    const ids = [...tokens];
    this.peak = Math.max(this.peak, ++this.openSequences);
    return {
      get length() {
        return ids.length;
      },
      append: (more) => void ids.push(...more),
      generate: (request) => this.#generate(ids, key, request),
      close: () => void this.openSequences--,
    };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #generate(
    ids: number[],
    key: StreamKey,
    request: GenerateRequest,
  ): Promise<GenerateResult> {
    const tokens: number[] = [];
    const result = (reason: GenerateResult['reason']): GenerateResult => ({
      tokens: Int32Array.from(tokens),
      logProbs: Float32Array.from(tokens, (id) => -1 / (id + 2)),
      reason,
    });
    for (;;) {
      await this.#pause();
      if (request.signal?.aborted) return result('cancelled');
      const id = this.#nextToken({ ids, turn: request.turn, position: tokens.length, key });
      tokens.push(id);
      ids.push(id);
      if (request.stop.some((stop) => stop.every((t, i) => t === tokens.at(i - stop.length)))) {
        return result('stop');
      }
      if (tokens.length >= request.maxTokens) return result('length');
    }
  }
}

/** Plays given turns token by token, then the last turn's last token for ever. */
export function scriptedSampler(turns: readonly ArrayLike<number>[]): FakeSampler {
  return new FakeSampler(({ turn, position }) => {
    const tokens = turns[turn] ?? [0];
    return tokens[Math.min(position, tokens.length - 1)] as number;
  });
}

/** Uniform over `vocabulary`, keyed as the port asks, with pauses of random length between tokens. */
export function randomSampler(vocabulary: readonly number[], pauses: () => number): FakeSampler {
  return new FakeSampler(
    ({ key, turn, position }) => {
      const [word] = philox4x32([position, turn, 0, 0], key);
      return vocabulary[word % vocabulary.length] as number;
    },
    async () => {
      for (let n = pauses(); n > 0; n--) await new Promise((resolve) => setImmediate(resolve));
    },
  );
}
