// The agent as a model of its own: it answers the last question with the whole search loop and shows its steps.
import { randomInt } from 'node:crypto';
import {
  type Episode,
  type EpisodeCodec,
  type EpisodeConfig,
  joinSlots,
  playEpisode,
  type Player,
  ProtocolCodec,
  SamplerPlayer,
} from '@masksearch/agent';
import { MASK_MARKER, streamKey, type Task } from '@masksearch/core';
import type { SearchTool } from '@masksearch/search';
import { HttpError } from '../http/http-error.ts';
import type { Call } from '../http/server.ts';
import type { ChatRequest } from './chat-request.ts';
import { ChatResponse, type Choice, type FinishReason } from './chat-response.ts';
import type { ServedModel } from './served-model.ts';
import { type SendPart, sendParts } from './send-parts.ts';

export interface AgentOptions {
  readonly search: SearchTool;
  readonly episode: EpisodeConfig;
  /** How the model is talked to in an episode; default the plain protocol. It must be that of its training. */
  readonly codec?: EpisodeCodec;
}

/** Told what the agent writes and reads, as it happens. */
type OnStep = (text: string) => Promise<void> | void;

/**
 * Takes the last user message for the question, or, if it holds `[mask]`, for a text whose gaps are to be filled. Thoughts,
 * queries and results come as `reasoning_content`, the answer as `content`; `masksearch` holds every search and how the
 * episode ended. Temperature 0 where a request does not say.
 */
export class AgentService {
  readonly name: string;
  readonly #served: ServedModel;
  readonly #options: AgentOptions;
  readonly #codec: EpisodeCodec;

  constructor(served: ServedModel, options: AgentOptions) {
    this.name = `${served.name}-agent`;
    this.#served = served;
    this.#options = options;
    this.#codec = options.codec ?? new ProtocolCodec(served.tokenizer);
  }

  async answer(request: ChatRequest, call: Call): Promise<void> {
    const task = taskOf(request);
    const response = new ChatResponse({
      model: this.name,
      fingerprint: this.#served.fingerprint,
      logProbs: false,
    });
    if (request.stream === true) {
      await sendParts(call.events(), (send) =>
        this.#stream(request, task, call.signal, response, send),
      );
      return;
    }
    const steps: string[] = [];
    const episode = await this.#play(request, task, call.signal, (step) => void steps.push(step));
    const choice = choiceOf(episode, steps.join('\n'));
    call.send(200, response.whole([choice], usageOf(episode), detailsOf(episode)));
  }

  async #stream(
    request: ChatRequest,
    task: Task,
    signal: AbortSignal,
    response: ChatResponse,
    send: SendPart,
  ): Promise<void> {
    await send(response.opening(0));
    const episode = await this.#play(request, task, signal, (step) =>
      send(response.reasoning(0, `${step}\n`)),
    );
    const { content, finish } = choiceOf(episode, '');
    await send(response.piece(0, content, []));
    await send(response.closing(0, finish, detailsOf(episode)));
    if (request.stream_options?.include_usage === true) {
      await send(response.usage(usageOf(episode)));
    }
  }

  async #play(
    request: ChatRequest,
    task: Task,
    signal: AbortSignal,
    onStep: OnStep,
  ): Promise<Episode> {
    const { episode: config, search } = this.#options;
    const { sampler, limits } = this.#served;
    const asked = request.max_completion_tokens ?? request.max_tokens ?? config.maxPolicyTokens;
    return playEpisode({
      task,
      sampleIndex: 0,
      policyVersion: 0,
      codec: this.#codec,
      search,
      signal,
      config: {
        ...config,
        maxPolicyTokens: Math.min(asked, config.maxPolicyTokens),
        maxContextTokens: Math.min(config.maxContextTokens, limits.maxContextTokens),
      },
      open: (prompt) =>
        new WatchedPlayer({
          codec: this.#codec,
          onStep,
          player: new SamplerPlayer({
            sampler,
            prompt,
            key: streamKey('agent', request.seed ?? randomInt(2 ** 47)),
            stop: this.#codec.stop,
            temperature: request.temperature ?? 0,
            topP: request.top_p ?? 1,
          }),
        }),
    });
  }
}

/** Passes everything on, and tells what was written and read. */
class WatchedPlayer implements Player {
  readonly #player: Player;
  readonly #codec: EpisodeCodec;
  readonly #onStep: OnStep;

  constructor(options: { player: Player; codec: EpisodeCodec; onStep: OnStep }) {
    this.#player = options.player;
    this.#codec = options.codec;
    this.#onStep = options.onStep;
  }

  async act(request: Parameters<Player['act']>[0]): ReturnType<Player['act']> {
    const turn = await this.#player.act(request);
    await this.#onStep(this.#codec.decode(turn.ids));
    return turn;
  }

  observe(observation: Parameters<Player['observe']>[0]): void {
    // A client that has gone is noticed by the next turn.
    Promise.resolve(this.#onStep(observation.text)).catch(() => {});
    this.#player.observe(observation);
  }

  close(): void {
    this.#player.close();
  }
}

/** @throws {HttpError} 400: there is no question, or something that an agent does not do. */
function taskOf({ messages, n, response_format: format, tools }: ChatRequest): Task {
  const question = messages.findLast(({ role }) => role === 'user')?.content?.trim() ?? '';
  if (question === '') throw new HttpError(400, 'messages: expected a question of the user');
  if ((n ?? 1) !== 1) throw new HttpError(400, 'n: the agent gives one answer');
  if ((format?.type ?? 'text') !== 'text') {
    throw new HttpError(400, 'response_format: the agent answers in text');
  }
  if ((tools ?? []).length > 0) throw new HttpError(400, 'tools: the agent brings its own search');
  const shared = {
    version: 1 as const,
    id: 'chat',
    group: 'chat',
    difficulty: 0,
    excludedPassages: [],
  };
  if (!question.includes(MASK_MARKER)) {
    return { ...shared, type: 'qa', question, golds: [], supporting: [], steps: [] };
  }
  return {
    ...shared,
    type: 'ramp',
    documentId: 'chat',
    passageId: 'chat',
    title: '',
    text: question,
    masked: question,
    slots: [],
    k: question.split(MASK_MARKER).length - 1,
    retrievable: [],
  };
}

function choiceOf({ answer, finishReason }: Episode, reasoning: string): Choice {
  const ranOut: FinishReason = finishReason === 'invalid-action' ? 'stop' : 'length';
  return {
    index: 0,
    content: answer === null ? '' : joinSlots(answer),
    calls: [],
    finish: answer === null ? ranOut : 'stop',
    tokens: [],
    reasoning,
  };
}

/** What OpenAI's format has no place for. */
function detailsOf({ finishReason, answer, searches }: Episode): object {
  return {
    masksearch: {
      finishReason,
      answer,
      searches: searches.map(({ query, provider, results, error }) => ({
        query,
        provider,
        ...(error === undefined ? {} : { error }),
        results: results.map(({ text: _, ...source }) => source),
      })),
    },
  };
}

function usageOf({ ids, policyTokens }: Episode): {
  promptTokens: number;
  completionTokens: number;
} {
  return { promptTokens: ids.length - policyTokens, completionTokens: policyTokens };
}
