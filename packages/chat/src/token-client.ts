// Token completions of one endpoint: token ids in, token ids out, so that nothing is tokenised twice.
import { z } from 'zod';
import type { AnswerReader } from './attempt.ts';
import { AttemptError } from './chat-errors.ts';
import type { Usage } from './chat-types.ts';
import { EndpointClient } from './endpoint-client.ts';
import { parseAnswer } from './parse-answer.ts';

export interface TokenRequest {
  readonly prompt: readonly number[];
  readonly maxTokens: number;
  /** 0 is greedy. */
  readonly temperature: number;
  /** Share of the nucleus; 1 when absent. */
  readonly topP?: number;
  /** Tells apart samples of one prompt, also in the cache. */
  readonly seed: number;
  /** Tokens that end the answer; they are its last. */
  readonly stopTokens: readonly number[];
  /** Texts that end it; they are kept. */
  readonly stopTexts: readonly string[];
}

export interface TokenResponse {
  readonly ids: readonly number[];
  /** Nats, one per id. */
  readonly logProbs: readonly number[];
  readonly finish: 'stop' | 'length';
  readonly usage: Usage;
}

/** Something that continues tokens. */
export interface TokenModel {
  /** Recorded with what it made. */
  readonly name: string;
  /** @throws {MaskSearchError} see the implementation. */
  continueTokens(
    request: TokenRequest,
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<TokenResponse>;
}

const idsSchema = z.array(z.int().min(0));
/** As it lies in the cache. */
const responseSchema: z.ZodType<TokenResponse> = z.strictObject({
  ids: idsSchema,
  logProbs: z.array(z.number()),
  finish: z.enum(['stop', 'length']),
  usage: z.strictObject({ inputTokens: z.number(), outputTokens: z.number() }),
});

const wireSchema = z.object({
  choices: z
    .array(
      z.object({
        token_ids: idsSchema,
        logprobs: z.object({ token_logprobs: z.array(z.number()) }),
        finish_reason: z.enum(['stop', 'length']),
      }),
    )
    .length(1),
});

/** `/v1/completions` with the fields of vLLM that `masksearch serve` has too: `return_token_ids` and `stop_token_ids`. */
export class TokenClient extends EndpointClient implements TokenModel {
  /** @throws as `Endpoint.ask`. */
  async continueTokens(
    request: TokenRequest,
    { signal }: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<TokenResponse> {
    const { prompt, maxTokens, temperature, topP, seed, stopTokens, stopTexts } = request;
    const body = {
      model: this.endpoint.config.model,
      prompt,
      max_tokens: maxTokens,
      temperature,
      ...(topP === undefined ? {} : { top_p: topP }),
      seed,
      logprobs: 0,
      stop_token_ids: stopTokens,
      ...(stopTexts.length === 0 ? {} : { stop: stopTexts, include_stop_str_in_output: true }),
      return_token_ids: true,
    };
    return this.endpoint.ask({
      path: '/completions',
      body,
      inputTokens: () => prompt.length,
      maxTokens,
      reader: (inputTokens) => new TokenReader(inputTokens),
      cached: responseSchema,
      signal,
    });
  }
}

class TokenReader implements AnswerReader<TokenResponse> {
  readonly #inputTokens: number;

  constructor(inputTokens: number) {
    this.#inputTokens = inputTokens;
  }

  whole(text: string): TokenResponse {
    const [choice] = parseAnswer(wireSchema, text).choices;
    const { token_ids: ids = [], logprobs, finish_reason: finish = 'stop' } = choice ?? {};
    const logProbs = logprobs?.token_logprobs ?? [];
    if (ids.length !== logProbs.length) {
      throw new AttemptError(
        'malformed',
        `expected a log-probability per token, received ${logProbs.length} for ${ids.length}.`,
      );
    }
    const usage = { inputTokens: this.#inputTokens, outputTokens: ids.length };
    return { ids, logProbs, finish, usage };
  }

  event(): void {
    throw new AttemptError('malformed', 'expected a whole answer, received a stream.');
  }

  end(): TokenResponse {
    throw new AttemptError('malformed', 'expected a whole answer, received a stream.');
  }
}
