// A model that says what a test tells it to, token by token, behind the sampler port.
import type { GenerateRequest, GenerateResult, SamplerOptions } from '@masksearch/model';
import { PROTOCOL_TOKENS, trainBpe } from '@masksearch/tokenizer';

export const TEXTS = [
  'Fill: Riga lies on the Daugava. Riga is the capital of Latvia.\n',
  'Question: What is the capital of Latvia?\n',
  ' Riga: Riga is the capital of Latvia. Zürich naïve 日本語 😀',
];

/** Tags are special tokens. */
export const protocolTokenizer = trainBpe(TEXTS, {
  vocabularySize: 360,
  specialTokens: PROTOCOL_TOKENS,
});

export interface Turn {
  /** What the sequence held when the turn began. */
  readonly prompt: readonly number[];
  readonly ids: readonly number[];
}

/**
 * Says the next of `turns` whenever a sequence opens or is appended to, whatever `allowed` says; the log-probability of
 * token i is −i / 8.
 */
export class ScriptedModel {
  readonly config: { readonly maxPositions: number; readonly vocabularySize: number };
  readonly device = 'scripted';
  /** Prompts in the order in which turns were begun. */
  readonly prompts: number[][] = [];
  openSequences = 0;
  cancelled = 0;
  /** Awaited before every call of generate. */
  gate: Promise<void> = Promise.resolve();
  readonly #turns: readonly (readonly number[])[];

  constructor(turns: readonly (readonly number[])[], maxPositions = 4096) {
    this.#turns = turns;
    this.config = { maxPositions, vocabularySize: protocolTokenizer.vocabularySize };
  }

  sampler({ maxContextTokens }: SamplerOptions) {
    return {
      open: (prompt: Int32Array) => this.#open([...prompt], maxContextTokens),
      close: () => Promise.resolve(),
    };
  }

  #open(held: number[], maxContextTokens: number) {
    this.openSequences++;
    let script: readonly number[] | undefined;
    let said = 0;
    const begin = (): readonly number[] => {
      this.prompts.push([...held]);
      said = 0;
      return this.#turns[(this.prompts.length - 1) % this.#turns.length] ?? [];
    };
    return {
      get length() {
        return held.length;
      },
      append: (tokens: Int32Array) => {
        held.push(...tokens);
        script = undefined;
      },
      generate: async (request: GenerateRequest): Promise<GenerateResult> => {
        await Promise.race([this.gate, aborted(request.signal)]);
        if (request.signal?.aborted) {
          this.cancelled++;
          return result([], 0, 'cancelled');
        }
        script ??= begin();
        const tokens: number[] = [];
        const first = said;
        for (;;) {
          if (tokens.length === request.maxTokens) return result(tokens, first, 'length');
          if (held.length === maxContextTokens) return result(tokens, first, 'context-full');
          const id = script[said++ % script.length] as number;
          tokens.push(id);
          held.push(id);
          const stops = request.stop.some((stop) =>
            stop.every((part, i) => part === tokens.at(i - stop.length)),
          );
          if (stops) {
            script = undefined;
            return result(tokens, first, 'stop');
          }
        }
      },
      close: () => void this.openSequences--,
    };
  }
}

function result(tokens: number[], first: number, reason: GenerateResult['reason']): GenerateResult {
  return {
    tokens: Int32Array.from(tokens),
    logProbs: Float32Array.from(tokens, (_, i) => -(first + i) / 8),
    reason,
  };
}

function aborted(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) resolve();
    signal?.addEventListener('abort', () => resolve(), { once: true });
  });
}
