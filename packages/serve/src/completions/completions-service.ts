// Text completions: prompts in text or tokens, continued as they are, without any format of a conversation.
import { randomInt } from 'node:crypto';
import { streamKey } from '@masksearch/core';
import {
  sampleTurn,
  sampleWholeTurn,
  together,
  type TurnJob,
  turnJobOf,
} from '../chat/sample-turn.ts';
import { checkChoices, tokenBudget } from '../chat/sampling-request.ts';
import type { ServedModel } from '../chat/served-model.ts';
import { type SendPart, sendParts } from '../chat/send-parts.ts';
import type { TokenText } from '../chat/turn-text.ts';
import type { Usage } from '../chat/wire-usage.ts';
import { HttpError } from '../http/http-error.ts';
import type { Call } from '../http/server.ts';
import { type CompletionsRequest, promptsOf } from './completions-request.ts';
import { type TextChoice, TextResponse, type ToldToken } from './completions-response.ts';

/** As in OpenAI's API. */
const DEFAULT_TOKENS = 16;

interface Job {
  readonly request: CompletionsRequest;
  readonly prompts: readonly Int32Array[];
  /** Choice i continues prompt ⌊i / n⌋. */
  readonly turns: readonly TurnJob[];
  readonly response: TextResponse;
}

export class CompletionsService {
  readonly name: string;
  readonly #served: ServedModel;

  constructor(served: ServedModel) {
    this.name = served.name;
    this.#served = served;
  }

  /** @throws {HttpError} 400: the request cannot be answered. */
  async answer(request: CompletionsRequest, call: Call): Promise<void> {
    await together(call.signal, (signal) => {
      const job = this.#prepare(request, signal);
      if (request.stream !== true) return this.#whole(job, call);
      return sendParts(call.events(), (send) => this.#stream(job, send));
    });
  }

  #prepare(request: CompletionsRequest, signal: AbortSignal): Job {
    const { fingerprint, format, limits, sampler, tokenizer } = this.#served;
    const prompts = promptsOf(request, tokenizer);
    const choices = request.n ?? 1;
    checkChoices(prompts.length * choices, limits);
    const stop = [...format.silent, ...(request.stop_token_ids ?? [])].map((id) => [id]);
    const seed = request.seed ?? randomInt(2 ** 47);
    const turns = prompts.flatMap((prompt, p) => {
      const asked = request.max_tokens ?? DEFAULT_TOKENS;
      const maxTokens = tokenBudget(limits, { field: 'prompt', tokens: prompt.length }, asked);
      return Array.from({ length: choices }, (_, index) => {
        const key = streamKey('completions', seed, p, index);
        return turnJobOf(
          request,
          { sampler, prompt, signal, maxTokens, key, stop, grammar: null },
          { tokenizer, silent: format.silent, holdFrom: () => -1 },
        );
      });
    });
    const response = new TextResponse({
      model: this.name,
      fingerprint,
      logProbs: request.logprobs ?? null,
      withIds: request.return_token_ids === true,
    });
    return { request, prompts, turns, response };
  }

  async #whole(job: Job, call: Call): Promise<void> {
    const { request, turns, prompts, response } = job;
    const echoed = request.echo === true ? await this.#echo(job) : null;
    const choices = await Promise.all(
      turns.map(async (turn, index): Promise<TextChoice> => {
        const finish = await sampleWholeTurn(turn);
        const { text, tokens } = turn.text;
        const shared = { index, finish, promptIds: turn.prompt };
        if (echoed === null) return { ...shared, text, tokens };
        const prompt = echoed[Math.floor((index * prompts.length) / turns.length)] as Echo;
        const moved = tokens.map((token) => ({
          ...token,
          start: token.start + prompt.text.length,
        }));
        return { ...shared, text: prompt.text + text, tokens: [...prompt.tokens, ...moved] };
      }),
    );
    call.send(200, response.whole(choices, usageOf(job)));
  }

  /** The prompts as text and tokens, with log-probabilities where they were asked for. */
  async #echo({ request, prompts }: Job): Promise<Echo[]> {
    const { tokenizer } = this.#served;
    return Promise.all(
      prompts.map(async (ids) => {
        const withLogProbs = request.logprobs !== null && request.logprobs !== undefined;
        const logProbs = withLogProbs ? await this.#score(ids) : null;
        let text = '';
        const tokens = [...ids].map((id, t): ToldToken => {
          const token = { id, text: tokenizer.decode([id]), start: text.length };
          text += token.text;
          return { ...token, logProb: t === 0 || logProbs === null ? null : (logProbs[t] ?? null) };
        });
        return { text: tokenizer.decode(ids), tokens };
      }),
    );
  }

  async #score(tokens: Int32Array): Promise<Float32Array> {
    const { score } = this.#served;
    if (score === undefined) {
      throw new HttpError(400, 'echo: this model cannot give the log-probabilities of a prompt');
    }
    const lossMask = new Uint8Array(tokens.length).fill(1);
    lossMask[0] = 0; // nothing predicts the first token
    const offsets = Int32Array.of(0, tokens.length);
    return (await score({ tokens, offsets, lossMask })).logProbs;
  }

  async #stream(job: Job, send: SendPart): Promise<void> {
    await Promise.all(job.turns.map((turn, index) => streamChoice(job, turn, index, send)));
    if (job.request.stream_options?.include_usage === true) {
      await send(job.response.usage(usageOf(job)));
    }
  }
}

interface Echo {
  readonly text: string;
  readonly tokens: readonly ToldToken[];
}

async function streamChoice(
  { response }: Job,
  turn: TurnJob,
  index: number,
  send: SendPart,
): Promise<void> {
  const pieces = sampleTurn(turn);
  const tell = (finish: TextChoice['finish'], text: string, tokens: readonly TokenText[]) =>
    send(response.piece({ index, finish, text, tokens, promptIds: turn.prompt }));
  let piece = await pieces.next();
  let told = 0;
  for (; piece.done !== true; piece = await pieces.next()) {
    const { text, tokens } = turn.text.show();
    told += tokens.length;
    if (text !== '' || tokens.length > 0) await tell(null, text, tokens);
  }
  // Tokens without text, such as the one that ends it, come with the reason.
  await tell(piece.value, '', turn.text.tokens.slice(told));
}

function usageOf({ prompts, turns }: Job): Usage {
  return {
    promptTokens: prompts.reduce((sum, prompt) => sum + prompt.length, 0),
    completionTokens: turns.reduce((sum, { text }) => sum + text.tokens.length, 0),
  };
}
