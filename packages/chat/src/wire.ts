// The OpenAI chat-completions format: our types to its JSON, and its JSON, checked, to our types.
import { z } from 'zod';
import type {
  ChatFinish,
  ChatMessage,
  ChatRequest,
  ChatResponse,
  TokenLogProb,
  Usage,
} from './chat-types.ts';
import type { EndpointConfig } from './endpoint-config.ts';

type WireOptions = Pick<EndpointConfig, 'model' | 'stream' | 'structuredOutput' | 'maxTokensField'>;

/** The body of a request. Keys stand in a fixed order, so equal requests have equal bytes. */
export function toWire(request: ChatRequest, options: WireOptions): Record<string, unknown> {
  const { temperature = 0, topP, seed, stop, tools, topLogProbs } = request;
  return {
    model: options.model,
    messages: request.messages.map(wireMessage),
    [options.maxTokensField]: request.maxTokens,
    temperature,
    ...(topP === undefined ? {} : { top_p: topP }),
    ...(seed === undefined ? {} : { seed }),
    ...(stop === undefined ? {} : { stop }),
    ...(tools === undefined
      ? {}
      : { tools: tools.map((tool) => ({ type: 'function', function: tool })) }),
    ...responseFormat(request, options),
    ...(topLogProbs === undefined ? {} : { logprobs: true, top_logprobs: topLogProbs }),
    ...(options.stream ? { stream: true, stream_options: { include_usage: true } } : {}),
  };
}

function wireMessage(message: ChatMessage): Record<string, unknown> {
  const { role, content } = message;
  if (role === 'tool') return { role, content, tool_call_id: message.toolCallId };
  if (role !== 'assistant' || message.toolCalls === undefined) return { role, content };
  const calls = message.toolCalls.map(({ id, name, arguments: text }) => ({
    id,
    type: 'function',
    function: { name, arguments: text },
  }));
  return { role, content, tool_calls: calls };
}

function responseFormat(
  { json }: ChatRequest,
  { structuredOutput }: WireOptions,
): Record<string, unknown> {
  if (json === undefined || structuredOutput === 'none') return {};
  if (structuredOutput === 'json-object') return { response_format: { type: 'json_object' } };
  const { name, schema } = json;
  return { response_format: { type: 'json_schema', json_schema: { name, schema, strict: true } } };
}

const count = z.number().int().min(0);
const usageSchema = z.object({ prompt_tokens: count, completion_tokens: count.default(0) });
const topSchema = z.object({ token: z.string(), logprob: z.number() });
const logProbsSchema = z.object({
  content: z.array(topSchema.extend({ top_logprobs: z.array(topSchema).nullish() })).nullish(),
});
const callSchema = z.object({
  id: z.string().nullish(),
  function: z.object({ name: z.string().nullish(), arguments: z.string().nullish() }),
});

/** A whole answer. */
export const completionSchema = z.object({
  model: z.string().nullish(),
  choices: z
    .array(
      z.object({
        message: z.object({
          content: z.string().nullish(),
          tool_calls: z.array(callSchema).nullish(),
        }),
        finish_reason: z.string().nullish(),
        logprobs: logProbsSchema.nullish(),
      }),
    )
    .min(1),
  usage: usageSchema.nullish(),
});

/** One piece of a streamed answer. */
export const chunkSchema = z.object({
  model: z.string().nullish(),
  choices: z.array(
    z.object({
      delta: z
        .object({
          content: z.string().nullish(),
          tool_calls: z
            .array(
              callSchema.extend({
                index: count.default(0),
                function: callSchema.shape.function.nullish(),
              }),
            )
            .nullish(),
        })
        .nullish(),
      finish_reason: z.string().nullish(),
      logprobs: logProbsSchema.nullish(),
    }),
  ),
  usage: usageSchema.nullish(),
});

/** An answer being put together from pieces; a whole answer is one piece. */
export class Assembly {
  #text = '';
  #model = '';
  #finish: ChatFinish | undefined;
  #usage: Usage | undefined;
  readonly #logProbs: TokenLogProb[] = [];
  #hasLogProbs = false;
  readonly #calls: { id: string; name: string; arguments: string }[] = [];

  /** True once the endpoint has said why the answer ends. */
  get isFinished(): boolean {
    return this.#finish !== undefined;
  }

  addCompletion(completion: z.output<typeof completionSchema>): void {
    const [choice] = completion.choices;
    const { content, tool_calls: calls } = choice?.message ?? {};
    const indexed = (calls ?? []).map((call, index) => ({ ...call, index }));
    this.addChunk({
      ...completion,
      choices: [
        {
          delta: { content, tool_calls: indexed },
          finish_reason: choice?.finish_reason ?? 'stop',
          logprobs: choice?.logprobs,
        },
      ],
    });
  }

  /** @returns the text that the piece adds. */
  addChunk(chunk: z.output<typeof chunkSchema>): string {
    this.#model = chunk.model ?? this.#model;
    const { usage } = chunk;
    if (usage) {
      this.#usage = { inputTokens: usage.prompt_tokens, outputTokens: usage.completion_tokens };
    }
    const [choice] = chunk.choices;
    if (choice === undefined) return '';
    if (choice.finish_reason) this.#finish = finishOf(choice.finish_reason);
    for (const entry of choice.logprobs?.content ?? []) {
      this.#hasLogProbs = true;
      const top = (entry.top_logprobs ?? []).map(({ token, logprob }) => ({
        token,
        logProb: logprob,
      }));
      this.#logProbs.push({ token: entry.token, logProb: entry.logprob, top });
    }
    for (const { index, id, function: called } of choice.delta?.tool_calls ?? []) {
      const call = (this.#calls[index] ??= { id: '', name: '', arguments: '' });
      call.id += id ?? '';
      call.name += called?.name ?? '';
      call.arguments += called?.arguments ?? '';
    }
    const piece = choice.delta?.content ?? '';
    this.#text += piece;
    return piece;
  }

  /** @param estimate Usage where the endpoint reports none. */
  response(estimate: (text: string) => Usage): ChatResponse {
    const toolCalls = this.#calls.filter(Boolean);
    const written = this.#text + toolCalls.map(({ arguments: text }) => text).join('');
    return {
      text: this.#text,
      toolCalls,
      finish: this.#finish ?? 'stop',
      usage: this.#usage ?? estimate(written),
      model: this.#model,
      ...(this.#hasLogProbs ? { logProbs: this.#logProbs } : {}),
    };
  }
}

/** A whole answer that needs no parsing, from a server in this process. @throws {ZodError} it is no chat completion. */
export function readCompletion(value: unknown): ChatResponse {
  const assembly = new Assembly();
  assembly.addCompletion(completionSchema.parse(value));
  return assembly.response(() => ({ inputTokens: 0, outputTokens: 0 }));
}

function finishOf(reason: string): ChatFinish {
  if (reason === 'length') return 'length';
  if (reason === 'tool_calls' || reason === 'function_call') return 'tool-calls';
  return reason === 'content_filter' ? 'content-filter' : 'stop';
}
