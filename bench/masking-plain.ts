// Span masking as one hand-tuned loop in TypeScript: the strongest plain peer for bench/masking.ts.
import type { SpanMaskInput, SpanMaskOutput } from '../native/masking/src/index.ts';

const NONE = 2 ** 31 - 1;

/** As `maskSpansCollapsed` on well-formed input; checks token ranges, throws RangeError. */
export function plainMaskSpansCollapsed(input: SpanMaskInput, output: SpanMaskOutput): number {
  const { ids, offsets, tokenStarts, tokenEnds, spanStarts, spanEnds, spanOffsets, maskId } = input;
  const { ids: outIds, labels } = output;
  let write = 0;
  for (let b = 0; b < offsets.length - 1; b++) {
    const last = at(offsets, b + 1);
    const lastSpan = at(spanOffsets, b + 1);
    let s = at(spanOffsets, b);
    let spanStart = s < lastSpan ? at(spanStarts, s) : NONE;
    let spanEnd = s < lastSpan ? at(spanEnds, s) : NONE;
    let covered = 0;
    let previousStart = 0;
    let previousEnd = 0;
    output.offsets[b] = write;
    for (let t = at(offsets, b); t < last; t++) {
      const start = at(tokenStarts, t);
      const end = at(tokenEnds, t);
      if (start < previousStart || end < previousEnd || start > end) {
        throw new RangeError(`plainMaskSpansCollapsed: expected ascending ranges at token ${t}.`);
      }
      previousStart = start;
      previousEnd = end;
      while (spanEnd <= start) {
        output.spanTokens[s] = covered;
        covered = 0;
        s++;
        spanStart = s < lastSpan ? at(spanStarts, s) : NONE;
        spanEnd = s < lastSpan ? at(spanEnds, s) : NONE;
      }
      if (end > spanStart) {
        if (covered === 0) outIds[write++] = maskId;
        covered++;
        labels[t] = at(ids, t);
      } else {
        outIds[write++] = at(ids, t);
        labels[t] = -1;
      }
    }
    for (; s < lastSpan; s++, covered = 0) output.spanTokens[s] = covered;
  }
  output.offsets[offsets.length - 1] = write;
  return write;
}

/** Element `i`, which exists. */
function at(array: Int32Array, i: number): number {
  return array[i] as number;
}
