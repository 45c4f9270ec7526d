// A model made ready to answer: its sampler, how conversations become tokens, and what requests may ask of it.
import type {
  DecoderConfig,
  PackedBatch,
  Sampler,
  SamplerOptions,
  TokenScores,
} from '@masksearch/model';
import type { ChatTemplate, Tokenizer } from '@masksearch/tokenizer';
import { JsonGrammars } from '../grammar/json-grammars.ts';
import type { ChatFormat } from './chat-format.ts';
import { plainFormat } from './plain-format.ts';
import type { TurnLimits } from './sampling-request.ts';
import { templateFormat } from './template-format.ts';

/** What is needed of a model; a `LanguageModel` is one. */
export interface ServableModel {
  readonly device: string;
  readonly config: Pick<DecoderConfig, 'maxPositions' | 'vocabularySize'>;
  sampler(options: SamplerOptions): Sampler;
  /** For the log-probabilities of prompts; without it they are refused. */
  score?(batch: PackedBatch): Promise<Pick<TokenScores, 'logProbs'>>;
}

export interface ModelOptions {
  /** Under which clients ask for the model; with `-agent` for the agent. */
  readonly name: string;
  readonly model: ServableModel;
  readonly tokenizer: Tokenizer;
  /** Identifies the weights; part of every answer. */
  readonly fingerprint: string;
  /** Without one the plain rendering is used; see `plainFormat`. */
  readonly template?: { readonly template: ChatTemplate; readonly endTokens: readonly string[] };
  readonly limits?: Partial<ChatLimits>;
}

export interface ChatLimits extends TurnLimits {
  /** Sequences that are decoded together; so many requests are worked on at once. */
  readonly maxSequences: number;
  /** Requests that wait; more get 503. */
  readonly queue: number;
  readonly maxBodyBytes: number;
}

const DEFAULT_LIMITS: ChatLimits = {
  maxSequences: 32,
  queue: 256,
  maxContextTokens: 4096,
  maxTokens: 4096,
  maxChoices: 16,
  maxBodyBytes: 2 ** 20,
};

/** What the services of one model share. */
export interface ServedModel {
  readonly name: string;
  readonly fingerprint: string;
  readonly sampler: Sampler;
  readonly tokenizer: Tokenizer;
  readonly format: ChatFormat;
  readonly limits: ChatLimits;
  readonly json: JsonGrammars;
  readonly score?: NonNullable<ServableModel['score']>;
}

/**
 * Closing the sampler is the caller's; the model stays its owner's.
 * @throws {InputError} the tokenizer knows a part of the protocol's tags only.
 */
export function openModel(options: ModelOptions): ServedModel {
  const { model, tokenizer, template } = options;
  const wanted = { ...DEFAULT_LIMITS, ...options.limits };
  const maxContextTokens = Math.min(wanted.maxContextTokens, model.config.maxPositions);
  const limits = { ...wanted, maxContextTokens };
  const format =
    template === undefined ? plainFormat(tokenizer) : templateFormat({ tokenizer, ...template });
  const sampler = model.sampler({ maxSequences: limits.maxSequences, maxContextTokens });
  const score = model.score === undefined ? {} : { score: model.score.bind(model) };
  const { name, fingerprint } = options;
  const json = new JsonGrammars({
    tokenizer,
    vocabularySize: model.config.vocabularySize,
    ends: format.stop
      .flatMap((ids) => (ids.length === 1 ? ids : []))
      .filter((id) => format.silent.has(id)),
  });
  return { name, fingerprint, tokenizer, sampler, format, limits, json, ...score };
}
