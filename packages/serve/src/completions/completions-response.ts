// What /v1/completions answers, whole or in chunks, in the shape of OpenAI's API with vLLM's token ids.
import { randomUUID } from 'node:crypto';
import type { TokenText } from '../chat/turn-text.ts';
import { type Usage, wireUsage } from '../chat/wire-usage.ts';

/** A token as it is told; the first of a prompt has no log-probability. */
export interface ToldToken extends Omit<TokenText, 'logProb'> {
  readonly logProb: number | null;
}

export interface TextChoice {
  readonly index: number;
  readonly text: string;
  readonly tokens: readonly ToldToken[];
  readonly finish: 'stop' | 'length' | null;
  readonly promptIds: Int32Array;
}

export interface TextResponseOptions {
  readonly model: string;
  readonly fingerprint: string;
  /** null: none; 1: also as the most probable, which at temperature 0 it is. */
  readonly logProbs: number | null;
  readonly withIds: boolean;
}

/** One answer: its id, model and time stand in every part of it. */
export class TextResponse {
  readonly #head: object;
  readonly #options: TextResponseOptions;

  constructor(options: TextResponseOptions) {
    this.#options = options;
    this.#head = {
      id: `cmpl-${randomUUID()}`,
      object: 'text_completion',
      created: Math.floor(Date.now() / 1000),
      model: options.model,
      system_fingerprint: options.fingerprint,
    };
  }

  whole(choices: readonly TextChoice[], usage: Usage): object {
    return {
      ...this.#head,
      choices: choices.map((choice) => this.#choice(choice)),
      usage: wireUsage(usage),
    };
  }

  piece(choice: TextChoice): object {
    return { ...this.#head, choices: [this.#choice(choice)] };
  }

  /** The last chunk, where it was asked for. */
  usage(usage: Usage): object {
    return { ...this.#head, choices: [], usage: wireUsage(usage) };
  }

  #choice({ index, text, tokens, finish, promptIds }: TextChoice): object {
    const { logProbs, withIds } = this.#options;
    const ids = { prompt_token_ids: [...promptIds], token_ids: tokens.map(({ id }) => id) };
    return {
      index,
      text,
      logprobs: logProbs === null ? null : wireLogProbs(tokens, logProbs),
      finish_reason: finish,
      ...(withIds ? ids : {}),
    };
  }
}

function wireLogProbs(tokens: readonly ToldToken[], top: number): object {
  return {
    tokens: tokens.map(({ text }) => text),
    token_logprobs: tokens.map(({ logProb }) => logProb),
    top_logprobs: top === 0 ? null : tokens.map(({ text, logProb }) => ({ [text]: logProb })),
    text_offset: tokens.map(({ start }) => start),
  };
}
