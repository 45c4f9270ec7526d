// Output arrays of the right size for a batch; keep them and use them again for smaller batches.
import type {
  PackingOutput,
  RandomMaskOutput,
  SpanMaskInput,
  SpanMaskOutput,
} from './contracts.ts';

/** Outputs for `maskSpansCollapsed` and `maskSpansPerToken`. */
export function createSpanMaskOutput(
  input: Pick<SpanMaskInput, 'ids' | 'offsets' | 'spanStarts'>,
): SpanMaskOutput {
  return {
    ids: new Int32Array(input.ids.length),
    offsets: new Int32Array(input.offsets.length),
    labels: new Int32Array(input.ids.length),
    spanTokens: new Int32Array(input.spanStarts.length),
  };
}

/** Outputs for the three random maskers. */
export function createRandomMaskOutput(tokens: number): RandomMaskOutput {
  return { ids: new Int32Array(tokens), labels: new Int32Array(tokens) };
}

/** Outputs for `packFirstFitDecreasing`. */
export function createPackingOutput(sequences: number): PackingOutput {
  return { order: new Int32Array(sequences), binOffsets: new Int32Array(sequences + 1) };
}
