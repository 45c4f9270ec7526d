// What requests of every kind say about sampling, with a clear refusal of what the sampler does not have.
import { z } from 'zod';
import { HttpError } from '../http/http-error.ts';

export const count = z.int().min(1).nullish();

export const samplingShape = {
  model: z.string().nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  seed: z.int().nullish(),
  n: count,
  stop: z.union([z.string().min(1), z.array(z.string().min(1)).max(16)]).nullish(),
  /** As in vLLM: the stop string is kept at the end of the text. */
  include_stop_str_in_output: z.boolean().nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  top_k: z.number().nullish(),
  frequency_penalty: z.number().nullish(),
  presence_penalty: z.number().nullish(),
  logit_bias: z.record(z.string(), z.number()).nullish(),
};

const samplingSchema = z.object(samplingShape);
export type SamplingRequest = z.infer<typeof samplingSchema>;

/** A setting, whether this request asks for what cannot be done, and what can. */
export type Refusal = readonly [key: string, isRefused: boolean, rule: string];

/**
 * Refuses settings that change what is sampled and that the sampler does not have: passing over them would give other
 * text than was asked for.
 * @throws {HttpError} 400, naming the setting.
 */
export function refuseUnsupported(request: SamplingRequest, more: readonly Refusal[] = []): void {
  const refused: Refusal[] = [
    ['top_k', (request.top_k ?? 0) > 0, 'only 0; top_p cuts the distribution off'],
    ['frequency_penalty', (request.frequency_penalty ?? 0) !== 0, 'only 0'],
    ['presence_penalty', (request.presence_penalty ?? 0) !== 0, 'only 0'],
    ['logit_bias', Object.keys(request.logit_bias ?? {}).length > 0, 'none'],
    ...more,
  ];
  for (const [key, isRefused, rule] of refused) {
    if (isRefused) throw new HttpError(400, `${key}: this server knows ${rule}`);
  }
}

export function stopStringsOf({ stop }: SamplingRequest): readonly string[] {
  return typeof stop === 'string' ? [stop] : (stop ?? []);
}

/** What a server allows of a turn. */
export interface TurnLimits {
  /** Tokens of prompt and answer together. */
  readonly maxContextTokens: number;
  /** Tokens that one choice may have. */
  readonly maxTokens: number;
  /** Choices of one request. */
  readonly maxChoices: number;
}

/** @throws {HttpError} 400: more choices than allowed. */
export function checkChoices(choices: number, { maxChoices }: TurnLimits): void {
  if (choices <= maxChoices) return;
  throw new HttpError(400, `n: expected at most ${maxChoices}, received ${choices}`);
}

/**
 * Tokens that a choice may have: what was asked for, within the limits and the room that the prompt leaves.
 * @param prompt The field that holds it, for messages, and its tokens.
 * @throws {HttpError} 400: there is no prompt, it leaves no room, or more was asked for than allowed.
 */
export function tokenBudget(
  { maxContextTokens, maxTokens }: TurnLimits,
  prompt: { readonly field: string; readonly tokens: number },
  asked: number | null | undefined,
): number {
  const room = maxContextTokens - prompt.tokens;
  if (prompt.tokens === 0)
    throw new HttpError(400, `${prompt.field}: expected text, received none`);
  if (room < 1) {
    throw new HttpError(
      400,
      `${prompt.field}: expected fewer than ${maxContextTokens} tokens, received ${prompt.tokens}`,
    );
  }
  if (asked !== null && asked !== undefined && asked > maxTokens) {
    throw new HttpError(400, `max_tokens: expected at most ${maxTokens}, received ${asked}`);
  }
  return Math.min(asked ?? maxTokens, maxTokens, room);
}
