// The port between what is trained and how it runs: one interface, a tfjs and a native implementation.
import type { DecoderConfig } from './decoder-config.ts';
import type { Adapter } from './lora.ts';
import type { ModelWeights, STATE_PARTS } from './weight-source.ts';

/**
 * Sequences laid end to end without padding. T tokens in B sequences; sequence b is
 * `tokens[offsets[b] .. offsets[b+1])`, positions restart at 0 in each, none sees another.
 */
export interface PackedBatch {
  /** (T) token ids. */
  readonly tokens: Int32Array;
  /** (B + 1) start of each sequence, last = T; strictly increasing. */
  readonly offsets: Int32Array;
  /**
   * (T) 1 where token t is a label: it is predicted from the tokens before it in its sequence.
   * Must be 0 at the first token of a sequence.
   */
  readonly lossMask: Uint8Array;
}

/** A loss that is a function of each labelled token's log-probability (and entropy). */
export type TokenLoss = CrossEntropyLoss | DapoTokenLoss | CustomTokenLoss;

/** loss = scale · Σ_t weights_t · (−log p_t), over labelled tokens. */
export interface CrossEntropyLoss {
  readonly type: 'cross-entropy';
  /** 1 / number of labelled tokens of the whole optimizer step. */
  readonly scale: number;
  /** (T) optional per-token weights; 1 when absent. */
  readonly weights?: Float32Array;
}

/**
 * loss = scale · Σ_t w_t · max(−A_t ρ_t, −A_t clip(ρ_t, 1−low, 1+high)) over labelled tokens, with
 * ρ_t = exp(clamp(log p_t − old_t, ±20)); for A_t < 0 at most −A_t · dualClip when given.
 * @see DAPO (arXiv:2503.14476) Eq. 8; dual clip: arXiv:1912.09729
 */
export interface DapoTokenLoss {
  readonly type: 'dapo';
  /** 1 / number of labelled tokens of the whole optimizer step. */
  readonly scale: number;
  /** (T) log-probabilities (nats) under the policy that sampled. */
  readonly oldLogProbs: Float32Array;
  /** (T) advantages, constant within a sample. */
  readonly advantages: Float32Array;
  readonly clip: { readonly low: number; readonly high: number };
  /** Upper bound c > 1 of the ratio's effect for negative advantages; absent = off. */
  readonly dualClip?: number;
  /** (T) truncated importance weights, constants in the gradient; 1 when absent. */
  readonly importanceWeights?: Float32Array;
  /** Adds −coefficient · scale · Σ_t entropy_t; 0 or absent = off. */
  readonly entropyCoefficient?: number;
}

/**
 * Any other loss. Called once per chunk of labelled tokens while the chunk's logits are still
 * there, so the vocabulary is passed over once.
 */
export interface CustomTokenLoss {
  readonly type: 'custom';
  /**
   * @param positions   (n) indices t of the chunk's labelled tokens.
   * @param logProbs    (n) nats.
   * @param entropies   (n) nats.
   * @returns loss (already scaled) and its gradient by each log-probability and entropy.
   */
  readonly evaluate: (chunk: {
    positions: Int32Array;
    logProbs: Float32Array;
    entropies: Float32Array;
  }) => { loss: number; dLogProbs: Float32Array; dEntropies?: Float32Array };
}

/** Per-token results; entries at tokens that are not labels are 0. */
export interface TokenScores {
  /** (T) log p(token t | tokens before it in its sequence), nats. */
  readonly logProbs: Float32Array;
  /** (T) entropy (nats) of the distribution that token t was drawn from. */
  readonly entropies: Float32Array;
}

export interface ScoreOptions {
  /**
   * `off` scores with the frozen weights alone, the reference policy of an adapter. Default `on`.
   * @throws {InputError} `off`, and the model has no adapter.
   */
  readonly adapter?: 'on' | 'off';
}

export interface AccumulateResult extends TokenScores {
  /** The loss of this micro-batch, as scaled. */
  readonly loss: number;
  /** DAPO only: labelled tokens whose ratio was cut at the lower and at the upper bound. */
  readonly clippedLow: number;
  readonly clippedHigh: number;
}

export interface AdamWOptions {
  readonly learningRate: number;
  /** Default 0.9. */
  readonly beta1?: number;
  /** Default 0.95. */
  readonly beta2?: number;
  /** Default 1e-8. */
  readonly epsilon?: number;
  /** Decoupled; applied to matrices of the layers only (not embeddings, norms, biases). Default 0. */
  readonly weightDecay?: number;
  /** Clips the global gradient norm with factor min(1, max / (norm + 1e-6)); absent = no clipping. */
  readonly maxGradientNorm?: number;
}

/** A named tensor as it lies in a checkpoint; names are Hugging Face's. */
export interface NamedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/**
 * A decoder that can be trained and sampled. Calls may be issued without awaiting the one before;
 * they run in order. All errors are MaskSearchErrors.
 */
export interface LanguageModel {
  readonly config: DecoderConfig;
  /** Where and how it runs, e.g. `native cpu avx512 2 threads` or `tfjs cpu`. */
  readonly device: string;
  /** Optimizer steps taken; samples are stamped with it. */
  readonly version: number;
  /**
   * Present where a low-rank adapter is trained on frozen weights. Then `gradients` and `state` are
   * the adapter's alone, and `weights` are those of the model with the adapter merged in.
   */
  readonly adapter?: Adapter;

  /** Forward and backward of one packed micro-batch; gradients are added up until `step`. */
  accumulate(batch: PackedBatch, loss: TokenLoss): Promise<AccumulateResult>;
  /** Clips, updates with AdamW and zeroes the gradients. Returns the norm before clipping. */
  step(options: AdamWOptions): Promise<{ gradientNorm: number }>;
  /** Log-probability and entropy of every labelled token, no gradient. */
  score(batch: PackedBatch, options?: ScoreOptions): Promise<TokenScores>;
  /** A sampler over the same weights. Only valid until the next `step`, which invalidates its caches. */
  sampler(options: SamplerOptions): Sampler;

  /** Weights by Hugging Face name, copies. */
  weights(): Promise<NamedTensor[]>;
  /**
   * One of those weights in pieces, copies, in order: what saving a large model needs, as `weights`
   * holds all of them at once. Absent where the weights are small or far away.
   */
  weightPieces?(name: string): AsyncIterable<Float32Array>;
  /** Accumulated gradients by the same names, copies. */
  gradients(): Promise<NamedTensor[]>;
  /** What is trained plus optimizer moments and step count: what exact resumption needs. */
  state(): Promise<ModelState>;
  /** One tensor of that state in pieces, as `weightPieces`: `state` holds three times what is trained. */
  statePieces?(part: StatePart, name: string): AsyncIterable<Float32Array>;
  /**
   * Puts back what `state` returned. Sources are read meanwhile: await it before the next call.
   * @throws {InputError} on missing, unknown or misshapen tensors.
   */
  restore(state: RestorableState): Promise<void>;
  dispose(): Promise<void>;
}

/** What is trained, and AdamW's first and second moments under the same names. */
export type StatePart = (typeof STATE_PARTS)[number];

export type ModelState = { readonly version: number } & Readonly<
  Record<StatePart, readonly NamedTensor[]>
>;

/** The same with tensors in memory or still in their files. */
export type RestorableState = { readonly version: number } & Readonly<
  Record<StatePart, ModelWeights>
>;

export interface SamplerOptions {
  /** Sequences decoded together at most; more wait their turn. */
  readonly maxSequences: number;
  /** Tokens (prompt included) a sequence can hold. */
  readonly maxContextTokens: number;
}

/** Ends a turn when the tokens sampled in it end with one of these. */
export type StopSequence = readonly number[];

export interface GenerateRequest {
  /** Tokens to sample at most in this turn. */
  readonly maxTokens: number;
  /** A turn ends after the last token of a stop sequence, which is kept. */
  readonly stop: readonly StopSequence[];
  /** > 0; 0 means greedy. Log-probabilities are always those at temperature 1 when 0 or 1, else at τ. */
  readonly temperature: number;
  /**
   * Nucleus sampling: draws from the smallest set of most probable tokens whose probabilities at τ
   * sum to at least this; of equally probable ones the first in the vocabulary. In [0, 1]; the most
   * probable token is always in the set. 1, the default, draws from all.
   * @see arXiv:1904.09751 §3.1
   */
  readonly topP?: number;
  /**
   * (⌈V / 32⌉) bit v mod 32 of word ⌊v / 32⌋ is set where token v may be sampled in this turn, before
   * `topP` is applied; all may be where it is absent.
   */
  readonly allowed?: Uint32Array;
  /** Turn index within the episode, part of the random key. */
  readonly turn: number;
  readonly signal?: AbortSignal;
}

export interface GenerateResult {
  readonly tokens: Int32Array;
  /**
   * (n) log-probability of each sampled token, bit-equal to `score` of the same sequence: that of the
   * model, whatever `topP` and `allowed` left to draw from.
   */
  readonly logProbs: Float32Array;
  readonly reason: 'stop' | 'length' | 'context-full' | 'cancelled';
}

/**
 * Continuous batching: `generate` calls of different sequences advance together, a sequence joins
 * and leaves at any token, and none waits for another's tool call. The KV cache of a sequence is
 * kept between its turns.
 */
export interface Sampler {
  /**
   * Starts a sequence. `key` selects its random stream: the number drawn at a token depends only
   * on (key, turn, position), never on what else is in the batch.
   */
  open(tokens: Int32Array, key: readonly [number, number]): SamplerSequence;
  /** Ends all sequences and frees the caches. */
  close(): Promise<void>;
}

export interface SamplerSequence {
  /** Tokens held so far: prompt, sampled and appended. */
  readonly length: number;
  /** Adds tokens that were not sampled (tool output); they are read before the next sampled token. */
  append(tokens: Int32Array): void;
  generate(request: GenerateRequest): Promise<GenerateResult>;
  /** Frees the cache. Further calls throw. */
  close(): void;
}
