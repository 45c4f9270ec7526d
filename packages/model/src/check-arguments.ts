// Checks of what callers hand to a LanguageModel; every implementation uses these, so all refuse alike.
import { InputError, ShapeError } from '@masksearch/core';
import type { DecoderConfig } from './decoder-config.ts';
import type {
  AdamWOptions,
  GenerateRequest,
  PackedBatch,
  SamplerOptions,
  ScoreOptions,
  TokenLoss,
} from './language-model.ts';
import type { LoraConfig } from './lora.ts';

/**
 * @throws {ShapeError} Lengths of tokens, offsets and lossMask contradict each other.
 * @throws {InputError} A token is outside the vocabulary, a sequence is too long, or a mask is not 0/1.
 */
export function checkBatch(batch: PackedBatch, config: DecoderConfig, where: string): void {
  const { tokens, offsets, lossMask } = batch;
  const T = tokens.length;
  const B = offsets.length - 1;
  if (T < 1 || B < 1 || offsets[0] !== 0 || offsets[B] !== T) {
    throw new ShapeError(
      `${where}: expected offsets from 0 to the number of tokens ${T} >= 1, received [${preview(offsets)}].`,
    );
  }
  if (lossMask.length !== T) {
    throw new ShapeError(`${where}: expected lossMask (T=${T}), received (${lossMask.length}).`);
  }
  checkTokens(tokens, config, where);
  for (let b = 0; b < B; b++) {
    const start = offsets[b] as number;
    const length = (offsets[b + 1] as number) - start;
    if (length < 1) {
      throw new ShapeError(
        `${where}: expected strictly increasing offsets, received ${start} then ${offsets[b + 1]} at sequence ${b}.`,
      );
    }
    if (length > config.maxPositions) {
      throw new InputError(
        `${where}: expected sequences of at most ${config.maxPositions} tokens, received ${length} in sequence ${b}.`,
      );
    }
    if (lossMask[start] !== 0) {
      throw new InputError(
        `${where}: expected lossMask 0 at the first token of a sequence, which nothing predicts, received ${lossMask[start]} in sequence ${b}.`,
      );
    }
  }
  const wrong = lossMask.findIndex((flag) => flag > 1);
  if (wrong >= 0) {
    throw new InputError(
      `${where}: expected lossMask to be 0 or 1, received ${lossMask[wrong]} at token ${wrong}.`,
    );
  }
}

/** @throws {InputError} A token is outside the vocabulary. */
export function checkTokens(tokens: Int32Array, config: DecoderConfig, where: string): void {
  const V = config.vocabularySize;
  const wrong = tokens.findIndex((token) => token < 0 || token >= V);
  if (wrong >= 0) {
    throw new InputError(
      `${where}: expected token ids in 0..${V - 1}, received ${tokens[wrong]} at token ${wrong}.`,
    );
  }
}

/**
 * @throws {ShapeError} A per-token array is not (T).
 * @throws {InputError} A constant is out of range or a labelled token has a value that is not finite.
 */
export function checkTokenLoss(loss: TokenLoss, batch: PackedBatch, where: string): void {
  if (loss.type === 'custom') return;
  expectFinite(loss.scale, 'scale', where);
  if (loss.type === 'cross-entropy') {
    checkPerToken(loss.weights, 'weights', batch, where);
    return;
  }
  checkPerToken(loss.oldLogProbs, 'oldLogProbs', batch, where);
  checkPerToken(loss.advantages, 'advantages', batch, where);
  checkPerToken(loss.importanceWeights, 'importanceWeights', batch, where);
  const { low, high } = loss.clip;
  if (!(low >= 0 && low < 1 && high >= 0 && Number.isFinite(high))) {
    throw new InputError(
      `${where}: expected clip.low in [0, 1) and clip.high >= 0, received ${low} and ${high}.`,
    );
  }
  if (loss.dualClip !== undefined && !(Number.isFinite(loss.dualClip) && loss.dualClip > 1)) {
    throw new InputError(`${where}: expected dualClip > 1, received ${loss.dualClip}.`);
  }
  if (loss.entropyCoefficient !== undefined) {
    expectFinite(loss.entropyCoefficient, 'entropyCoefficient', where);
  }
}

/** @throws {InputError} The adapter is to be off and the model has none. */
export function checkScoreOptions(
  options: ScoreOptions | undefined,
  adapter: LoraConfig | undefined,
): void {
  if (options?.adapter === 'off' && adapter === undefined) {
    throw new InputError(
      'score: expected a model with an adapter to switch off, received one without.',
    );
  }
}

/** @throws {InputError} A constant is out of the range in which AdamW is defined. */
export function checkAdamW(options: AdamWOptions, where: string): void {
  const { learningRate, beta1 = 0, beta2 = 0, epsilon = 1, weightDecay = 0 } = options;
  const { maxGradientNorm = 1 } = options;
  const ranges: readonly (readonly [string, number, boolean, string])[] = [
    ['learningRate', learningRate, learningRate >= 0, '>= 0'],
    ['beta1', beta1, beta1 >= 0 && beta1 < 1, 'in [0, 1)'],
    ['beta2', beta2, beta2 >= 0 && beta2 < 1, 'in [0, 1)'],
    ['epsilon', epsilon, epsilon > 0, '> 0'],
    ['weightDecay', weightDecay, weightDecay >= 0, '>= 0'],
    ['maxGradientNorm', maxGradientNorm, maxGradientNorm > 0, '> 0'],
  ];
  for (const [name, value, valid, range] of ranges) {
    if (!valid || !Number.isFinite(value)) {
      throw new InputError(`${where}: expected ${name} ${range}, received ${value}.`);
    }
  }
}

/** @throws {InputError} A capacity is not a positive integer or exceeds the model's positions. */
export function checkSamplerOptions(options: SamplerOptions, config: DecoderConfig): void {
  const { maxSequences, maxContextTokens } = options;
  if (!Number.isInteger(maxSequences) || maxSequences < 1 || maxSequences >= 2 ** 31) {
    throw new InputError(`sampler: expected maxSequences >= 1, received ${maxSequences}.`);
  }
  const longest = config.maxPositions;
  if (!Number.isInteger(maxContextTokens) || maxContextTokens < 1 || maxContextTokens > longest) {
    throw new InputError(
      `sampler: expected maxContextTokens in 1..${longest}, received ${maxContextTokens}.`,
    );
  }
}

/** @throws {InputError} A field is out of range or a stop sequence is empty or not of the vocabulary. */
export function checkGenerateRequest(request: GenerateRequest, config: DecoderConfig): void {
  const { maxTokens, stop, temperature, topP = 1, turn } = request;
  if (!Number.isInteger(maxTokens) || maxTokens < 1 || maxTokens >= 2 ** 31) {
    throw new InputError(`generate: expected maxTokens >= 1, received ${maxTokens}.`);
  }
  if (!(Number.isFinite(temperature) && temperature >= 0)) {
    throw new InputError(`generate: expected temperature >= 0, received ${temperature}.`);
  }
  if (!(topP >= 0 && topP <= 1)) {
    throw new InputError(`generate: expected topP in [0, 1], received ${topP}.`);
  }
  checkAllowed(request.allowed, config.vocabularySize);
  if (!Number.isInteger(turn) || turn < 0 || turn >= 2 ** 32) {
    throw new InputError(`generate: expected turn in 0..2^32-1, received ${turn}.`);
  }
  for (const sequence of stop) {
    if (sequence.length === 0) {
      throw new InputError('generate: expected stop sequences of at least one token, received [].');
    }
    for (const token of sequence) {
      if (!Number.isInteger(token) || token < 0 || token >= config.vocabularySize) {
        throw new InputError(
          `generate: expected stop tokens in 0..${config.vocabularySize - 1}, received ${token}.`,
        );
      }
    }
  }
}

/** @throws {InputError} There is not a bit for each token, or none is set. */
function checkAllowed(allowed: Uint32Array | undefined, V: number): void {
  if (allowed === undefined) return;
  const words = Math.ceil(V / 32);
  if (allowed.length !== words) {
    throw new InputError(
      `generate: expected allowed (${words}), a bit for each of ${V} tokens, received (${allowed.length}).`,
    );
  }
  const lastWord = (allowed[words - 1] as number) & (0xffffffff >>> (words * 32 - V));
  if (lastWord === 0 && allowed.subarray(0, -1).every((word) => word === 0)) {
    throw new InputError('generate: expected at least one allowed token, received none.');
  }
}

function checkPerToken(
  values: Float32Array | undefined,
  name: string,
  { tokens, lossMask }: PackedBatch,
  where: string,
): void {
  if (values === undefined) return;
  if (values.length !== tokens.length) {
    throw new ShapeError(
      `${where}: expected ${name} (T=${tokens.length}), received (${values.length}).`,
    );
  }
  const wrong = values.findIndex((value, t) => lossMask[t] === 1 && !Number.isFinite(value));
  if (wrong >= 0) {
    throw new InputError(
      `${where}: expected finite ${name} at labelled tokens, received ${values[wrong]} at token ${wrong}.`,
    );
  }
}

function expectFinite(value: number, name: string, where: string): void {
  if (!Number.isFinite(value)) {
    throw new InputError(`${where}: expected ${name} to be finite, received ${value}.`);
  }
}

function preview(values: Int32Array): string {
  return values.length > 8 ? `${values.subarray(0, 8).join(', ')}, …` : values.join(', ');
}
