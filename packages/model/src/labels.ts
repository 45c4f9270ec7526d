// Where the labels of a packed batch are, sequence by sequence.
import type { PackedBatch } from './language-model.ts';

/** One sequence of a packed batch. */
export interface PackedSequence {
  /** Index of its first token in the batch. */
  readonly start: number;
  /** (n) its tokens. */
  readonly tokens: Int32Array;
  /** Indices t (into the sequence, ascending, >= 1) of its labelled tokens. */
  readonly labels: Int32Array;
}

/** The sequences of a batch that `checkBatch` has accepted. */
export function sequencesOf({ tokens, offsets, lossMask }: PackedBatch): PackedSequence[] {
  const sequences: PackedSequence[] = [];
  for (let b = 0; b + 1 < offsets.length; b++) {
    const start = offsets[b] as number;
    const end = offsets[b + 1] as number;
    const labels: number[] = [];
    for (let t = start; t < end; t++) if (lossMask[t] === 1) labels.push(t - start);
    sequences.push({
      start,
      tokens: tokens.subarray(start, end),
      labels: Int32Array.from(labels),
    });
  }
  return sequences;
}
