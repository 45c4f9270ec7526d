// What a client may ask of /v1/completions: text or tokens to be continued, checked.
import { encodeMarked, type Tokenizer } from '@masksearch/tokenizer';
import { z } from 'zod';
import { count, refuseUnsupported, samplingShape } from '../chat/sampling-request.ts';
import { HttpError } from '../http/http-error.ts';

const tokenIds = z.array(z.int().min(0)).min(1);

export const completionsRequestSchema = z.object({
  ...samplingShape,
  prompt: z.union([z.string(), tokenIds, z.array(z.string()).min(1), z.array(tokenIds).min(1)]),
  /** 0 with `echo` gives the log-probabilities of the prompt. */
  max_tokens: z.int().min(0).nullish(),
  logprobs: z.int().min(0).nullish(),
  echo: z.boolean().nullish(),
  suffix: z.string().nullish(),
  best_of: count,
  /** As in vLLM: tokens that end the text; they are kept unless they are silent. */
  stop_token_ids: z.array(z.int().min(0)).max(64).nullish(),
  /** As in vLLM: `prompt_token_ids` and `token_ids` of each choice. */
  return_token_ids: z.boolean().nullish(),
});
export type CompletionsRequest = z.infer<typeof completionsRequestSchema>;

/** @throws {HttpError} 400, naming the setting that this server does not have. */
export function refuseUnsupportedCompletions(request: CompletionsRequest): void {
  const { best_of, echo, logprobs, n, stream, suffix, temperature } = request;
  const isGreedy = temperature === 0 && echo !== true;
  refuseUnsupported(request, [
    [
      'logprobs',
      (logprobs ?? 0) > (isGreedy ? 1 : 0),
      'only 0, the token itself, and 1 where temperature is 0 and nothing is echoed',
    ],
    ['suffix', (suffix ?? '') !== '', 'none: the model reads from left to right'],
    ['best_of', (best_of ?? n ?? 1) !== (n ?? 1), 'only that of n'],
    ['echo', echo === true && stream === true, 'it for whole answers only'],
  ]);
}

/**
 * The prompts in tokens. Special tokens that a text spells are special tokens, since a caller who may send token ids may
 * send any text.
 * @throws {HttpError} 400: an id that is no token.
 */
export function promptsOf({ prompt }: CompletionsRequest, tokenizer: Tokenizer): Int32Array[] {
  const encode = (text: string): Int32Array =>
    encodeMarked(tokenizer, text, tokenizer.specialTokens);
  if (typeof prompt === 'string') return [encode(prompt)];
  const isOne = typeof prompt[0] === 'number';
  const prompts = (isOne ? [prompt] : prompt) as readonly (string | readonly number[])[];
  return prompts.map((one) => (typeof one === 'string' ? encode(one) : checked(one, tokenizer)));
}

function checked(ids: readonly number[], tokenizer: Tokenizer): Int32Array {
  const stranger = ids.find((id) => !tokenizer.isToken(id));
  if (stranger === undefined) return Int32Array.from(ids);
  throw new HttpError(400, `prompt: expected ids of tokens, received ${stranger}`);
}
