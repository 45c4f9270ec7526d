// Chat completions of the model itself: n sampled turns, sent whole or as they come.
import { randomInt } from 'node:crypto';
import { streamKey } from '@masksearch/core';
import type { Call } from '../http/server.ts';
import { type ChatRequest, toolsOf, type WireTool } from './chat-request.ts';
import { ChatResponse, type Choice } from './chat-response.ts';
import type { ServedModel } from './served-model.ts';
import { type JsonAsked, jsonAskedOf } from './json-format.ts';
import { type SendPart, sendParts } from './send-parts.ts';
import { sampleTurn, sampleWholeTurn, together, type TurnJob, turnJobOf } from './sample-turn.ts';
import { checkChoices, tokenBudget } from './sampling-request.ts';

/** Times that a choice is sampled until it passes, where a grammar alone cannot hold it to what is asked for. */
const JSON_TRIES = 4;

interface Job {
  readonly request: ChatRequest;
  readonly tools: readonly WireTool[];
  readonly prompt: Int32Array;
  /** What a choice must be, or null for any text. */
  readonly json: JsonAsked | null;
  /** @param attempt From 0: of a choice that was not what it must be. */
  readonly turnOf: (index: number, attempt: number) => TurnJob;
  /** All that were begun. */
  readonly turns: TurnJob[];
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
    if (request.stream !== true) {
      call.send(200, await this.complete(request, call.signal));
      return;
    }
    await together(call.signal, (signal) => {
      const job = this.#prepare(request, signal);
      return sendParts(call.events(), (send) => this.#stream(job, send));
    });
  }

  /** @returns a whole answer. @throws {HttpError} 400: the request cannot be answered. */
  complete(request: ChatRequest, signal: AbortSignal): Promise<object> {
    return together(signal, (either) => this.#whole(this.#prepare(request, either)));
  }

  #prepare(request: ChatRequest, signal: AbortSignal): Job {
    const { format, limits, sampler, tokenizer, json: grammars } = this.#served;
    const tools = toolsOf(request);
    const prompt = format.encode(request.messages, tools);
    checkChoices(request.n ?? 1, limits);
    const asked = request.max_completion_tokens ?? request.max_tokens;
    const maxTokens = tokenBudget(limits, { field: 'messages', tokens: prompt.length }, asked);
    const seed = request.seed ?? randomInt(2 ** 47);
    const turns: TurnJob[] = [];
    const json = jsonAskedOf(request.response_format);
    // A model that is offered tools may call one in place of an answer, and must be free to.
    const grammar =
      json === null || tools.length > 0 ? null : grammars.grammarOf(json.key, json.pattern);
    const stop = grammar === null ? format.stop : grammars.ends.map((id) => [id]);
    const turnOf = (index: number, attempt: number): TurnJob => {
      const key = streamKey('chat', seed, index, ...(attempt === 0 ? [] : [attempt]));
      const holdFrom = tools.length === 0 ? () => -1 : format.callStart;
      const turn = turnJobOf(
        request,
        { sampler, prompt, signal, maxTokens, key, stop, grammar: grammar?.start() ?? null },
        { tokenizer, silent: format.silent, holdFrom },
      );
      turns.push(turn);
      return turn;
    };
    const response = new ChatResponse({
      model: this.name,
      fingerprint: this.#served.fingerprint,
      logProbs: request.logprobs === true,
    });
    return { request, tools, prompt, json, turnOf, turns, response };
  }

  async #whole(job: Job): Promise<object> {
    const choices = await Promise.all(
      indicesOf(job).map(async (index) => {
        if (job.json !== null) return this.#checkedChoice(job, index, job.json);
        const turn = job.turnOf(index, 0);
        return this.#choice(job, index, turn, await sampleWholeTurn(turn));
      }),
    );
    return job.response.whole(choices, usageOf(job));
  }

  async #stream(job: Job, send: SendPart): Promise<void> {
    await Promise.all(indicesOf(job).map((index) => this.#streamChoice(job, index, send)));
    if (job.request.stream_options?.include_usage === true) {
      await send(job.response.usage(usageOf(job)));
    }
  }

  async #streamChoice(job: Job, index: number, send: SendPart): Promise<void> {
    const { response, json, tools } = job;
    await send(response.opening(index));
    const isHeld = json !== null && tools.length === 0 && json.pattern.isWhole;
    if (json === null || isHeld) {
      await this.#streamTurn(job, index, send);
      return;
    }
    // Nothing is shown before it is known to be right.
    const { content, calls, tokens, finish, refusal } = await this.#checkedChoice(job, index, json);
    if (refusal !== undefined) await send(response.refusal(index, refusal));
    else if (content !== '') await send(response.piece(index, content, tokens));
    if (calls.length > 0) await send(response.calls(index, calls));
    await send(response.closing(index, finish));
  }

  async #streamTurn(job: Job, index: number, send: SendPart): Promise<void> {
    const { response } = job;
    const turn = job.turnOf(index, 0);
    const pieces = sampleTurn(turn);
    let piece = await pieces.next();
    let shown = '';
    for (; piece.done !== true; piece = await pieces.next()) {
      const { text, tokens } = turn.text.show();
      shown += text;
      if (text !== '' || tokens.length > 0) await send(response.piece(index, text, tokens));
    }
    const { content, calls, finish } = this.#choice(job, index, turn, piece.value);
    // What was held back for a call that did not come, or stands beside it.
    const rest = content.startsWith(shown) ? content.slice(shown.length) : '';
    if (rest !== '') await send(response.piece(index, rest, []));
    if (calls.length > 0) await send(response.calls(index, calls));
    await send(response.closing(index, finish));
  }

  /**
   * Samples a choice until it passes, a few times; one that never does is a refusal. A tool call needs no check, and what
   * a grammar holds and only its length cuts off stays as it is.
   */
  async #checkedChoice(job: Job, index: number, { check }: JsonAsked): Promise<Choice> {
    // Greedily, every try would be the same.
    const tries = job.request.temperature === 0 ? 1 : JSON_TRIES;
    for (let attempt = 0; ; attempt++) {
      const turn = job.turnOf(index, attempt);
      const choice = this.#choice(job, index, turn, await sampleWholeTurn(turn));
      if (choice.calls.length > 0) return choice;
      if (choice.finish === 'length' && turn.grammar?.isWhole === false) return choice;
      const problem = check(choice.content);
      if (problem === null) return choice;
      if (attempt + 1 < tries) continue;
      const refusal = `The model did not write the JSON asked for in ${tries} tries; of the last: ${problem}.`;
      return { ...choice, content: '', tokens: [], refusal };
    }
  }

  #choice({ tools }: Job, index: number, { text }: TurnJob, finish: 'stop' | 'length'): Choice {
    const { content, calls } =
      tools.length === 0
        ? { content: text.text, calls: [] }
        : this.#served.format.read(text.text, tools);
    const tokens = text.tokens.filter(({ start }) => start < text.text.length);
    return { index, content, calls, tokens, finish: calls.length > 0 ? 'tool_calls' : finish };
  }
}

function indicesOf({ request }: Job): number[] {
  return Array.from({ length: request.n ?? 1 }, (_, index) => index);
}

function usageOf({ prompt, turns }: Job): { promptTokens: number; completionTokens: number } {
  const completionTokens = turns.reduce((sum, { text }) => sum + text.tokens.length, 0);
  return { promptTokens: prompt.length, completionTokens };
}
