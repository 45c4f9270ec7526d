// Chat completions of one endpoint.
import { z } from 'zod';
import type { AnswerReader } from './attempt.ts';
import { AttemptError } from './chat-errors.ts';
import type { ChatModel, ChatOptions, ChatRequest, ChatResponse } from './chat-types.ts';
import { EndpointClient } from './endpoint-client.ts';
import { parseAnswer } from './parse-answer.ts';
import { Assembly, chunkSchema, completionSchema, toWire } from './wire.ts';

/** Low for English, so that estimates err upwards; Chinese characters count one each. */
const CHARACTERS_PER_TOKEN = 3;

const topSchema = z.strictObject({ token: z.string(), logProb: z.number() });
/** As it lies in the cache. */
const responseSchema: z.ZodType<ChatResponse> = z.strictObject({
  text: z.string(),
  toolCalls: z.array(z.strictObject({ id: z.string(), name: z.string(), arguments: z.string() })),
  finish: z.enum(['stop', 'length', 'tool-calls', 'content-filter']),
  usage: z.strictObject({ inputTokens: z.number(), outputTokens: z.number() }),
  model: z.string(),
  logProbs: z.array(topSchema.extend({ top: z.array(topSchema) })).exactOptional(),
});

export class ChatClient extends EndpointClient implements ChatModel {
  get structured(): boolean {
    return this.endpoint.config.structuredOutput === 'json-schema';
  }

  /** @throws as `Endpoint.ask`. */
  async complete(request: ChatRequest, options: ChatOptions = {}): Promise<ChatResponse> {
    const body = toWire(request, this.endpoint.config);
    let hasSpoken = false;
    const onText = (piece: string): void => {
      hasSpoken = true;
      options.onText?.(piece);
    };
    const answer = await this.endpoint.ask({
      path: '/chat/completions',
      body,
      inputTokens: estimateTokens,
      maxTokens: request.maxTokens,
      reader: (inputTokens) => new ChatReader(inputTokens, onText),
      cached: responseSchema,
      signal: options.signal,
    });
    if (!hasSpoken) options.onText?.(answer.text); // it was in the cache
    return answer;
  }
}

/** Puts an answer together, from one piece or many. */
class ChatReader implements AnswerReader<ChatResponse> {
  readonly #assembly = new Assembly();
  readonly #inputTokens: number;
  readonly #onText: (piece: string) => void;

  /** @param inputTokens An estimate, for endpoints that report no usage. */
  constructor(inputTokens: number, onText: (piece: string) => void) {
    this.#inputTokens = inputTokens;
    this.#onText = onText;
  }

  whole(text: string): ChatResponse {
    this.#assembly.addCompletion(parseAnswer(completionSchema, text));
    const response = this.#response();
    this.#onText(response.text);
    return response;
  }

  event(data: string): void {
    const piece = this.#assembly.addChunk(parseAnswer(chunkSchema, data));
    if (piece !== '') this.#onText(piece);
  }

  end(): ChatResponse {
    if (this.#assembly.isFinished) return this.#response();
    throw new AttemptError('cut', 'the stream ended before the answer did.');
  }

  #response(): ChatResponse {
    const inputTokens = this.#inputTokens;
    return this.#assembly.response((text) => ({ inputTokens, outputTokens: estimateTokens(text) }));
  }
}

/** Tokens that a text may have at most, near enough for limits. */
export function estimateTokens(text: string): number {
  const wide = text.match(/[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]/g)?.length ?? 0;
  return Math.ceil(wide + (text.length - wide) / CHARACTERS_PER_TOKEN);
}
