// A model behind an endpoint as a sampler: a turn is one request that carries the whole sequence, in tokens.
import type { TokenModel } from '@masksearch/chat';
import { InputError, streamKey } from '@masksearch/core';
import type {
  GenerateRequest,
  GenerateResult,
  Sampler,
  SamplerSequence,
  StopSequence,
} from '@masksearch/model';
import type { Tokenizer } from '@masksearch/tokenizer';

export interface EndpointSamplerOptions {
  readonly model: TokenModel;
  /** That of the model behind the endpoint: its ids are sent. */
  readonly tokenizer: Pick<Tokenizer, 'decode'>;
  /** Tokens (prompt included) a sequence can hold. */
  readonly maxContextTokens: number;
}

/**
 * The endpoint batches and caches as it likes. Draws are its own: the seed of a turn depends on the key of its sequence
 * and its number, so a repeated run asks for the same.
 */
export class EndpointSampler implements Sampler {
  readonly #options: EndpointSamplerOptions;

  constructor(options: EndpointSamplerOptions) {
    this.#options = options;
  }

  open(tokens: Int32Array, key: readonly [number, number]): SamplerSequence {
    return new EndpointSequence(this.#options, tokens, key);
  }

  /** The endpoint stays its owner's. */
  close(): Promise<void> {
    return Promise.resolve();
  }
}

class EndpointSequence implements SamplerSequence {
  readonly #options: EndpointSamplerOptions;
  readonly #key: readonly [number, number];
  readonly #held: number[];

  constructor(options: EndpointSamplerOptions, tokens: Int32Array, key: readonly [number, number]) {
    this.#options = options;
    this.#key = key;
    this.#held = [...tokens];
  }

  get length(): number {
    return this.#held.length;
  }

  append(tokens: Int32Array): void {
    this.#held.push(...tokens);
  }

  async generate(request: GenerateRequest): Promise<GenerateResult> {
    const { model, maxContextTokens } = this.#options;
    const { stop, temperature, topP = 1, allowed, turn, signal } = request;
    if (allowed !== undefined) {
      throw new InputError(
        `${model.name}: expected no allowed tokens, which endpoints do not take.`,
      );
    }
    const maxTokens = Math.min(request.maxTokens, maxContextTokens - this.length);
    if (maxTokens < 1) return resultOf([], [], 'context-full');
    const answer = await model.continueTokens(
      {
        prompt: this.#held,
        maxTokens,
        temperature,
        ...(topP < 1 ? { topP } : {}),
        seed: seedOf(this.#key, turn),
        ...this.#wireStops(stop),
      },
      { signal },
    );
    const { ids, logProbs } = answer;
    if (ids.length === 0 || ids.length > maxTokens) {
      throw new InputError(
        `${model.name}: expected 1 to ${maxTokens} tokens, received ${ids.length}; the endpoint must return token ids, the ending one among them.`,
      );
    }
    this.#held.push(...ids);
    const isFull = this.length >= maxContextTokens;
    const ranOut = isFull ? 'context-full' : 'length';
    return resultOf(ids, logProbs, answer.finish === 'stop' ? 'stop' : ranOut);
  }

  close(): void {}

  /** Sequences of several tokens are known to endpoints as text only. */
  #wireStops(stop: readonly StopSequence[]): { stopTokens: number[]; stopTexts: string[] } {
    const [single, several] = [
      stop.filter(({ length }) => length === 1),
      stop.filter(({ length }) => length > 1),
    ];
    const texts = several.map((ids) => this.#options.tokenizer.decode(ids));
    return { stopTokens: single.flat(), stopTexts: [...new Set(texts)] };
  }
}

/** A safe integer of 53 bits. */
function seedOf(key: readonly [number, number], turn: number): number {
  const [high, low] = streamKey('endpoint', key[0], key[1], turn);
  return (high >>> 0) * 2 ** 21 + (low >>> 11);
}

function resultOf(
  ids: readonly number[],
  logProbs: readonly number[],
  reason: GenerateResult['reason'],
): GenerateResult {
  return { tokens: Int32Array.from(ids), logProbs: Float32Array.from(logProbs), reason };
}
