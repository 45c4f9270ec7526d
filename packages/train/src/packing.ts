// Lays sequences end to end into micro-batches under a token budget; knows nothing about losses.
import { InputError } from '@masksearch/core';
import type { PackedBatch } from '@masksearch/model';

/** A sequence to train on. A `Sample` is one, and so is an SFT example. */
export interface TrainingExample {
  /** (n) token ids. */
  readonly ids: ArrayLike<number>;
  /** (n) 1 where the token carries loss; prompt and tool tokens are 0, and so is the first token. */
  readonly mask: ArrayLike<number>;
}

/** One packed micro-batch and where each of its sequences lies in it. */
export interface MicroBatch<E extends TrainingExample> {
  readonly batch: PackedBatch;
  /** `start` is the position of the example's first token in the batch. */
  readonly members: readonly { readonly example: E; readonly start: number }[];
}

/** Number of tokens that carry loss. Over all examples of an optimizer step it is the T of the loss. */
export function countLabels(examples: Iterable<TrainingExample>): number {
  let labels = 0;
  for (const { mask } of examples) {
    for (let t = 0; t < mask.length; t++) if (mask[t] === 1) labels++;
  }
  return labels;
}

/** Number of tokens, labelled or not. */
export function countTokens(examples: Iterable<TrainingExample>): number {
  let tokens = 0;
  for (const { ids } of examples) tokens += ids.length;
  return tokens;
}

/**
 * Packs examples in their order into micro-batches of at most `budgetTokens` tokens. Sequences are
 * never cut or padded; one without a label is left out, as it has no gradient.
 *
 * @throws {InputError} an example is longer than the budget, or is malformed.
 */
export function packMicroBatches<E extends TrainingExample>(
  examples: readonly E[],
  budgetTokens: number,
): MicroBatch<E>[] {
  const microBatches: MicroBatch<E>[] = [];
  let open: E[] = [];
  let openTokens = 0;
  examples.forEach((example, index) => {
    checkExample(example, `packMicroBatches: example ${index}`);
    const length = example.ids.length;
    if (length > budgetTokens) {
      throw new InputError(
        `packMicroBatches: expected sequences of at most ${budgetTokens} tokens, received ${length} at example ${index}; raise microBatchTokens.`,
      );
    }
    if (countLabels([example]) === 0) return;
    if (openTokens + length > budgetTokens) {
      microBatches.push(layOut(open));
      open = [];
      openTokens = 0;
    }
    open.push(example);
    openTokens += length;
  });
  if (open.length > 0) microBatches.push(layOut(open));
  return microBatches;
}

/** @throws {InputError} ids and mask differ in length, the mask is not 0/1 or trains the first token. */
export function checkExample(example: TrainingExample, where: string): void {
  const { ids, mask } = example;
  if (ids.length === 0 || ids.length !== mask.length) {
    throw new InputError(
      `${where}: expected ids and mask of one length > 0, received ${ids.length} and ${mask.length}.`,
    );
  }
  if (mask[0] !== 0) {
    throw new InputError(
      `${where}: expected mask[0] = 0, received ${mask[0]}; nothing precedes the first token.`,
    );
  }
  for (let t = 1; t < mask.length; t++) {
    if (mask[t] !== 0 && mask[t] !== 1) {
      throw new InputError(
        `${where}: expected mask values 0 or 1, received ${mask[t]} at token ${t}.`,
      );
    }
  }
}

/**
 * Spreads a value per example over the tokens of its micro-batch.
 *
 * @param valueOf One number for all tokens of the example, or one per token.
 * @returns       (T) float32, in the order of the batch's tokens.
 */
export function spreadOverTokens<E extends TrainingExample>(
  microBatch: MicroBatch<E>,
  valueOf: (example: E) => number | ArrayLike<number>,
): Float32Array {
  const values = new Float32Array(microBatch.batch.tokens.length);
  for (const { example, start } of microBatch.members) {
    const value = valueOf(example);
    if (typeof value === 'number') values.fill(value, start, start + example.ids.length);
    else values.set(value, start);
  }
  return values;
}

function layOut<E extends TrainingExample>(examples: readonly E[]): MicroBatch<E> {
  const T = countTokens(examples);
  const tokens = new Int32Array(T);
  const lossMask = new Uint8Array(T);
  const offsets = new Int32Array(examples.length + 1);
  const members: { example: E; start: number }[] = [];
  let start = 0;
  examples.forEach((example, b) => {
    tokens.set(example.ids, start);
    lossMask.set(example.mask, start);
    members.push({ example, start });
    start += example.ids.length;
    offsets[b + 1] = start;
  });
  return { batch: { tokens, offsets, lossMask }, members };
}
