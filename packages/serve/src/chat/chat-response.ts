// What /v1/chat/completions answers, whole or in chunks, in the shape of OpenAI's API.
import { randomUUID } from 'node:crypto';
import type { ToolCall } from './chat-format.ts';
import type { TokenText } from './turn-text.ts';
import { type Usage, wireUsage } from './wire-usage.ts';

export type FinishReason = 'stop' | 'length' | 'tool_calls';

export interface Choice {
  readonly index: number;
  readonly content: string;
  readonly calls: readonly ToolCall[];
  readonly finish: FinishReason;
  readonly tokens: readonly TokenText[];
  /** What an agent did before it answered, as text. */
  readonly reasoning?: string;
  /** Why there is no content. */
  readonly refusal?: string;
}

/** One answer: its id, model and time stand in every part of it. */
export class ChatResponse {
  readonly #head: { id: string; created: number; model: string; system_fingerprint: string };
  readonly #withLogProbs: boolean;

  constructor(options: { model: string; fingerprint: string; logProbs: boolean }) {
    this.#withLogProbs = options.logProbs;
    this.#head = {
      id: `chatcmpl-${randomUUID()}`,
      created: Math.floor(Date.now() / 1000),
      model: options.model,
      system_fingerprint: options.fingerprint,
    };
  }

  whole(choices: readonly Choice[], usage: Usage, more: object = {}): object {
    return {
      ...this.#head,
      object: 'chat.completion',
      choices: choices.map((choice) => ({
        index: choice.index,
        message: {
          role: 'assistant',
          content: hasNoContent(choice) ? null : choice.content,
          refusal: choice.refusal ?? null,
          ...(choice.reasoning === undefined ? {} : { reasoning_content: choice.reasoning }),
          ...(choice.calls.length === 0 ? {} : { tool_calls: choice.calls.map(wireCall) }),
        },
        logprobs: this.#logProbsOf(choice.tokens),
        finish_reason: choice.finish,
      })),
      usage: wireUsage(usage),
      ...more,
    };
  }

  /** The first chunk of a choice. */
  opening(index: number): object {
    return this.#chunk(index, { role: 'assistant', content: '' }, null);
  }

  piece(index: number, content: string, tokens: readonly TokenText[]): object {
    return this.#chunk(index, { content }, null, tokens);
  }

  /** What an agent does, as text. */
  reasoning(index: number, text: string): object {
    return this.#chunk(index, { reasoning_content: text }, null);
  }

  refusal(index: number, refusal: string): object {
    return this.#chunk(index, { refusal }, null);
  }

  calls(index: number, calls: readonly ToolCall[]): object {
    const tool_calls = calls.map((call, i) => ({ index: i, ...wireCall(call) }));
    return this.#chunk(index, { tool_calls }, null);
  }

  closing(index: number, finish: FinishReason, more: object = {}): object {
    return { ...this.#chunk(index, {}, finish), ...more };
  }

  /** The last chunk, where it was asked for. */
  usage(usage: Usage): object {
    return {
      ...this.#head,
      object: 'chat.completion.chunk',
      choices: [],
      usage: wireUsage(usage),
    };
  }

  #chunk(
    index: number,
    delta: object,
    finish: FinishReason | null,
    tokens: readonly TokenText[] = [],
  ): object {
    return {
      ...this.#head,
      object: 'chat.completion.chunk',
      choices: [
        {
          index,
          delta,
          logprobs: tokens.length === 0 ? null : this.#logProbsOf(tokens),
          finish_reason: finish,
        },
      ],
    };
  }

  #logProbsOf(tokens: readonly TokenText[]): object | null {
    if (!this.#withLogProbs) return null;
    const content = tokens.map(({ text, logProb }) => ({
      token: text,
      logprob: logProb,
      // A part of a character has no text of its own.
      bytes: text.includes('\ufffd') ? null : [...Buffer.from(text, 'utf8')],
      top_logprobs: [],
    }));
    return { content, refusal: null };
  }
}

function hasNoContent({ calls, content, refusal }: Choice): boolean {
  return refusal !== undefined || (calls.length > 0 && content === '');
}

function wireCall({ name, arguments: json }: ToolCall) {
  return {
    id: `call_${randomUUID().replaceAll('-', '').slice(0, 24)}`,
    type: 'function',
    function: { name, arguments: json },
  };
}
