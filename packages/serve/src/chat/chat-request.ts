// What a client may ask of /v1/chat/completions: checked, with a clear refusal of what this server cannot do.
import { z } from 'zod';
import { responseFormatSchema } from './json-format.ts';
import { count, refuseUnsupported, samplingShape } from './sampling-request.ts';

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

export const chatRequestSchema = z.object({
  ...samplingShape,
  messages: z.array(messageSchema).min(1),
  max_tokens: count,
  max_completion_tokens: count,
  logprobs: z.boolean().nullish(),
  tools: z.array(toolSchema).nullish(),
  tool_choice: z.unknown().optional(),
  top_logprobs: z.number().nullish(),
  response_format: responseFormatSchema.nullish(),
});
export type ChatRequest = z.infer<typeof chatRequestSchema>;

/** @throws {HttpError} 400, naming the setting that this server does not have. */
export function refuseUnsupportedChat(request: ChatRequest): void {
  refuseUnsupported(request, [
    ['top_logprobs', (request.top_logprobs ?? 0) > 0, 'only 0: that of the sampled token'],
    ['tool_choice', !isFreeChoice(request.tool_choice), 'only "auto" and "none"'],
  ]);
}

function isFreeChoice(choice: unknown): boolean {
  return choice === undefined || choice === null || choice === 'auto' || choice === 'none';
}

/** The tools that the model may call now. */
export function toolsOf({ tools, tool_choice: choice }: ChatRequest): readonly WireTool[] {
  return choice === 'none' ? [] : (tools ?? []);
}
