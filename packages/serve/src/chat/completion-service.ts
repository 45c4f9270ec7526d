// Chat completions of the model itself: n sampled turns, sent whole or as they come.
import { randomInt } from 'node:crypto';
import { streamKey } from '@masksearch/core';
import type { Call } from '../http/server.ts';
import { type ChatRequest, toolsOf, type WireTool } from './chat-request.ts';
import { ChatResponse, type Choice } from './chat-response.ts';
import type { ServedModel } from './chat-server.ts';
import { type SendPart, sendParts } from './send-parts.ts';
import { sampleTurn, sampleWholeTurn, type TurnJob } from './sample-turn.ts';
import { checkChoices, stopStringsOf, tokenBudget } from './sampling-request.ts';
import { TurnText } from './turn-text.ts';

/** Tokens between two looks at the text: of a stream, and where a stop string may end the turn. */
const PIECE_TOKENS = 4;

interface Job {
  readonly request: ChatRequest;
  readonly tools: readonly WireTool[];
  readonly prompt: Int32Array;
  readonly turns: readonly TurnJob[];
  readonly response: ChatResponse;
}

export class CompletionService {
  readonly name: string;
  readonly #served: ServedModel;

  constructor(served: ServedModel) {
    this.name = served.name;
    this.#served = served;
  }

  async answer(request: ChatRequest, call: Call): Promise<void> {
    // When one choice fails the others are told to stop.
    const failed = new AbortController();
    const job = this.#prepare(request, AbortSignal.any([call.signal, failed.signal]));
    try {
      if (request.stream === true) {
        await sendParts(call.events(), (send) => this.#stream(job, send));
      } else {
        await this.#whole(job, call);
      }
    } catch (error) {
      failed.abort();
      throw error;
    }
  }

  #prepare(request: ChatRequest, signal: AbortSignal): Job {
    const { format, limits, sampler, tokenizer } = this.#served;
    const tools = toolsOf(request);
    const stopStrings = stopStringsOf(request);
    const prompt = format.encode(request.messages, tools);
    const choices = request.n ?? 1;
    checkChoices(choices, limits);
    const asked = request.max_completion_tokens ?? request.max_tokens;
    const maxTokens = tokenBudget(limits, { field: 'messages', tokens: prompt.length }, asked);
    const looksOften = request.stream === true || stopStrings.length > 0;
    const seed = request.seed ?? randomInt(2 ** 47);
    const turns = Array.from({ length: choices }, (_, index) => ({
      sampler,
      prompt,
      signal,
      maxTokens,
      key: streamKey('chat', seed, index),
      temperature: request.temperature ?? 1,
      stop: format.stop,
      pieceTokens: looksOften ? PIECE_TOKENS : maxTokens,
      text: new TurnText({
        tokenizer,
        stop: stopStrings,
        includeStop: request.include_stop_str_in_output === true,
        silent: format.silent,
        holdFrom: tools.length === 0 ? () => -1 : format.callStart,
      }),
    }));
    const response = new ChatResponse({
      model: this.name,
      fingerprint: this.#served.fingerprint,
      logProbs: request.logprobs === true,
    });
    return { request, tools, prompt, turns, response };
  }

  async #whole(job: Job, call: Call): Promise<void> {
    const choices = await Promise.all(
      job.turns.map(async (turn, index) => this.#choice(job, index, await sampleWholeTurn(turn))),
    );
    call.send(200, job.response.whole(choices, usageOf(job)));
  }

  async #stream(job: Job, send: SendPart): Promise<void> {
    await Promise.all(job.turns.map((turn, index) => this.#streamChoice(job, turn, index, send)));
    if (job.request.stream_options?.include_usage === true) {
      await send(job.response.usage(usageOf(job)));
    }
  }

  async #streamChoice(job: Job, turn: TurnJob, index: number, send: SendPart): Promise<void> {
    const { response } = job;
    await send(response.opening(index));
    const pieces = sampleTurn(turn);
    let piece = await pieces.next();
    let shown = '';
    for (; piece.done !== true; piece = await pieces.next()) {
      const { text, tokens } = turn.text.show();
      shown += text;
      if (text !== '' || tokens.length > 0) await send(response.piece(index, text, tokens));
    }
    const { content, calls, finish } = this.#choice(job, index, piece.value);
    // What was held back for a call that did not come, or stands beside it.
    const rest = content.startsWith(shown) ? content.slice(shown.length) : '';
    if (rest !== '') await send(response.piece(index, rest, []));
    if (calls.length > 0) await send(response.calls(index, calls));
    await send(response.closing(index, finish));
  }

  #choice({ turns, tools }: Job, index: number, finish: 'stop' | 'length'): Choice {
    const { text } = turns[index] as TurnJob;
    const { content, calls } =
      tools.length === 0
        ? { content: text.text, calls: [] }
        : this.#served.format.read(text.text, tools);
    const tokens = text.tokens.filter(({ start }) => start < text.text.length);
    return { index, content, calls, tokens, finish: calls.length > 0 ? 'tool_calls' : finish };
  }
}

function usageOf({ prompt, turns }: Job): { promptTokens: number; completionTokens: number } {
  const completionTokens = turns.reduce((sum, { text }) => sum + text.tokens.length, 0);
  return { promptTokens: prompt.length, completionTokens };
}
