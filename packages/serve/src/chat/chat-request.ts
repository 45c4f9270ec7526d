// What a client may ask of /v1/chat/completions: checked, with a clear refusal of what this server cannot do.
import { z } from 'zod';
import { HttpError } from '../http/http-error.ts';

/** A text, or the list of text parts that clients may send in its place. */
const text = z.union([
  z.string(),
  z
    .array(z.object({ type: z.literal('text'), text: z.string() }))
    .transform((parts) => parts.map((part) => part.text).join('')),
]);

const toolCallSchema = z.object({
  id: z.string(),
  type: z.literal('function'),
  function: z.object({ name: z.string(), arguments: z.string() }),
});
export type WireToolCall = z.infer<typeof toolCallSchema>;

const messageSchema = z.discriminatedUnion('role', [
  z.object({ role: z.literal('system'), content: text }),
  z.object({ role: z.literal('developer'), content: text }),
  z.object({ role: z.literal('user'), content: text }),
  z.object({
    role: z.literal('assistant'),
    content: text.nullish(),
    tool_calls: z.array(toolCallSchema).nullish(),
  }),
  z.object({ role: z.literal('tool'), content: text, tool_call_id: z.string() }),
]);
export type WireMessage = z.infer<typeof messageSchema>;

const toolSchema = z.object({
  type: z.literal('function'),
  function: z.object({
    name: z.string().min(1),
    description: z.string().nullish(),
    parameters: z.record(z.string(), z.unknown()).nullish(),
  }),
});
export type WireTool = z.infer<typeof toolSchema>;

const count = z.int().min(1).nullish();

export const chatRequestSchema = z.object({
  model: z.string().nullish(),
  messages: z.array(messageSchema).min(1),
  max_tokens: count,
  max_completion_tokens: count,
  temperature: z.number().min(0).max(2).nullish(),
  seed: z.int().nullish(),
  n: count,
  stop: z.union([z.string().min(1), z.array(z.string().min(1)).max(16)]).nullish(),
  /** As in vLLM: the stop string is kept at the end of the text. */
  include_stop_str_in_output: z.boolean().nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  logprobs: z.boolean().nullish(),
  tools: z.array(toolSchema).nullish(),
  tool_choice: z.unknown().optional(),
  top_logprobs: z.number().nullish(),
  top_p: z.number().nullish(),
  top_k: z.number().nullish(),
  frequency_penalty: z.number().nullish(),
  presence_penalty: z.number().nullish(),
  logit_bias: z.record(z.string(), z.number()).nullish(),
  response_format: z.object({ type: z.string() }).nullish(),
});
export type ChatRequest = z.infer<typeof chatRequestSchema>;

/**
 * Refuses settings that change what is sampled and that the sampler does not have: passing over them would give other
 * text than was asked for.
 * @throws {HttpError} 400, naming the setting.
 */
export function refuseUnsupported(request: ChatRequest): void {
  const refused: [string, boolean, string][] = [
    ['top_p', (request.top_p ?? 1) !== 1, 'only 1: the whole distribution is sampled'],
    ['top_k', (request.top_k ?? 0) > 0, 'only 0: the whole distribution is sampled'],
    ['frequency_penalty', (request.frequency_penalty ?? 0) !== 0, 'only 0'],
    ['presence_penalty', (request.presence_penalty ?? 0) !== 0, 'only 0'],
    ['logit_bias', Object.keys(request.logit_bias ?? {}).length > 0, 'none'],
    ['top_logprobs', (request.top_logprobs ?? 0) > 0, 'only 0: that of the sampled token'],
    ['response_format', (request.response_format?.type ?? 'text') !== 'text', 'only text'],
    ['tool_choice', !isFreeChoice(request.tool_choice), 'only "auto" and "none"'],
  ];
  for (const [key, isRefused, rule] of refused) {
    if (isRefused) throw new HttpError(400, `${key}: this server knows ${rule}`);
  }
}

function isFreeChoice(choice: unknown): boolean {
  return choice === undefined || choice === null || choice === 'auto' || choice === 'none';
}

/** The tools that the model may call now. */
export function toolsOf({ tools, tool_choice: choice }: ChatRequest): readonly WireTool[] {
  return choice === 'none' ? [] : (tools ?? []);
}

export function stopStringsOf({ stop }: ChatRequest): readonly string[] {
  return typeof stop === 'string' ? [stop] : (stop ?? []);
}
