// The masking operations in plain TypeScript loops: what the C++ must give, element by element.
import { philox4x32 } from '@masksearch/core';
import type { StreamKey } from '@masksearch/core';
import {
  checkAuthorMask,
  checkGeometricSpanMask,
  checkPacking,
  checkShift,
  checkSpanMask,
  checkTokenMask,
} from './checks.ts';
import { AUTHOR_CODES } from './contracts.ts';
import type {
  AuthorMaskInput,
  GeometricSpanMaskInput,
  MaskedTokenSequences,
  Packing,
  PackingInput,
  PackingOutput,
  RandomMaskOutput,
  SpanMaskInput,
  SpanMaskOutput,
  TokenMaskInput,
  TokenSequences,
  WholeWordMaskInput,
} from './contracts.ts';
import { FAULT, faultError } from './faults.ts';
import { lengthThresholds } from './geometric.ts';

/** See `Masking.maskSpansCollapsed`. @throws {ShapeError | InputError} */
export function maskSpansCollapsed(input: SpanMaskInput, output: SpanMaskOutput): number {
  return maskSpans('maskSpansCollapsed', input, output, (maskedBefore) => maskedBefore === 0);
}

/** See `Masking.maskSpansPerToken`. @throws {ShapeError | InputError} */
export function maskSpansPerToken(input: SpanMaskInput, output: SpanMaskOutput): number {
  return maskSpans('maskSpansPerToken', input, output, () => true);
}

/** `writesMask(n)`: does a span's token number n get a mask of its own? */
function maskSpans(
  where: string,
  input: SpanMaskInput,
  output: SpanMaskOutput,
  writesMask: (maskedBefore: number) => boolean,
): number {
  checkSpanMask(where, input, output);
  const { ids, offsets, tokenStarts, tokenEnds, spanStarts, spanEnds, spanOffsets } = input;
  checkOffsets(where, offsets, ids.length, FAULT.offsets);
  checkOffsets(where, spanOffsets, spanStarts.length, FAULT.spanOffsets);
  output.spanTokens.fill(0, 0, spanStarts.length);
  let write = 0;
  for (let b = 0; b < offsets.length - 1; b++) {
    const first = at(offsets, b);
    const last = at(offsets, b + 1);
    const lastSpan = at(spanOffsets, b + 1);
    checkTokens(where, input, first, last);
    checkSpans(where, input, at(spanOffsets, b), lastSpan);
    output.offsets[b] = write;
    let s = at(spanOffsets, b);
    for (let t = first; t < last; t++) {
      while (s < lastSpan && at(spanEnds, s) <= at(tokenStarts, t)) s++;
      if (s < lastSpan && at(tokenEnds, t) > at(spanStarts, s)) {
        const masked = at(output.spanTokens, s);
        if (writesMask(masked)) output.ids[write++] = input.maskId;
        output.spanTokens[s] = masked + 1;
        output.labels[t] = at(ids, t);
      } else {
        output.ids[write++] = at(ids, t);
        output.labels[t] = -1;
      }
    }
  }
  output.offsets[offsets.length - 1] = write;
  return write;
}

/** See `Masking.authorMask`. @throws {ShapeError | InputError} */
export function authorMask(input: AuthorMaskInput, mask: Uint8Array): number {
  const where = 'authorMask';
  checkAuthorMask(where, input, mask);
  const { offsets, segmentStarts, segmentEnds, authors, segmentOffsets } = input;
  checkOffsets(where, offsets, at(offsets, offsets.length - 1), FAULT.offsets);
  checkOffsets(where, segmentOffsets, segmentStarts.length, FAULT.segmentOffsets);
  let policyTokens = 0;
  for (let b = 0; b < offsets.length - 1; b++) {
    const first = at(offsets, b);
    const length = at(offsets, b + 1) - first;
    const lastSegment = at(segmentOffsets, b + 1);
    let cursor = 0;
    for (let s = at(segmentOffsets, b); s < lastSegment; s++) {
      const start = at(segmentStarts, s);
      const end = at(segmentEnds, s);
      if (start !== cursor || end < start || end > length) {
        throw faultError(where, FAULT.segments, s);
      }
      if (at(authors, s) > AUTHOR_CODES.tool) throw faultError(where, FAULT.authors, s);
      const policy = at(authors, s) === AUTHOR_CODES.policy ? 1 : 0;
      for (let t = start; t < end; t++) mask[first + t] = policy;
      policyTokens += policy * (end - start);
      cursor = end;
    }
    if (cursor !== length) throw faultError(where, FAULT.segments, lastSegment);
  }
  return policyTokens;
}

/** See `Masking.shiftedLabels`. @throws {ShapeError | InputError} */
export function shiftedLabels(input: TokenSequences, labels: Int32Array): number {
  const { ids, offsets } = input;
  checkShift('shiftedLabels', { ids, offsets }, labels);
  checkOffsets('shiftedLabels', offsets, ids.length, FAULT.offsets);
  return shift(input, labels, () => true);
}

/** See `Masking.shiftedPolicyLabels`. @throws {ShapeError | InputError} */
export function shiftedPolicyLabels(input: MaskedTokenSequences, labels: Int32Array): number {
  const where = 'shiftedPolicyLabels';
  checkShift(where, input, labels);
  checkOffsets(where, input.offsets, input.ids.length, FAULT.offsets);
  checkFlags(where, input.mask);
  return shift(input, labels, (t) => at(input.mask, t) === 1);
}

function shift(
  { ids, offsets }: TokenSequences,
  labels: Int32Array,
  isLabel: (t: number) => boolean,
): number {
  let labelled = 0;
  for (let b = 0; b < offsets.length - 1; b++) {
    const last = at(offsets, b + 1);
    for (let t = at(offsets, b); t < last; t++) {
      const predicts = t + 1 < last && isLabel(t + 1);
      labels[t] = predicts ? at(ids, t + 1) : -1;
      if (predicts) labelled++;
    }
  }
  return labelled;
}

/** Second word of the counter: what a stream's numbers are for. */
const PURPOSE = { randomTokens: 1, wholeWords: 2, spanLengths: 3, spanPositions: 4 };

/** The words of one stream: counter = (block, purpose, sequence low, sequence high). */
function wordStream(key: StreamKey, purpose: number, sequence: number): () => number {
  let used = 0;
  let words: readonly number[] = [];
  return () => {
    if (used % 4 === 0) {
      const high = Math.floor(sequence / 2 ** 32);
      words = philox4x32([used / 4, purpose, sequence >>> 0, high], key);
    }
    return words[used++ % 4] as number;
  };
}

/** See `Masking.maskRandomTokens`. @throws {ShapeError | InputError} */
export function maskRandomTokens(input: TokenMaskInput, output: RandomMaskOutput): number {
  checkTokenMask('maskRandomTokens', input, output);
  const wordStarts = new Uint8Array(input.ids.length).fill(1);
  return maskWords('maskRandomTokens', { ...input, wordStarts }, output, PURPOSE.randomTokens);
}

/** See `Masking.maskWholeWords`. @throws {ShapeError | InputError} */
export function maskWholeWords(input: WholeWordMaskInput, output: RandomMaskOutput): number {
  checkTokenMask('maskWholeWords', input, output);
  return maskWords('maskWholeWords', input, output, PURPOSE.wholeWords);
}

function maskWords(
  where: string,
  input: WholeWordMaskInput,
  output: RandomMaskOutput,
  purpose: number,
): number {
  const { ids, offsets, wordStarts, probability } = input;
  checkOffsets(where, offsets, ids.length, FAULT.offsets);
  checkFlags(where, wordStarts);
  let maskedTokens = 0;
  for (let b = 0; b < offsets.length - 1; b++) {
    const nextWord = wordStream(input.key, purpose, input.firstSequence + b);
    const first = at(offsets, b);
    let masked = false;
    for (let t = first; t < at(offsets, b + 1); t++) {
      if (t === first || at(wordStarts, t) === 1) masked = nextWord() < probability * 2 ** 32;
      output.ids[t] = masked ? input.maskId : at(ids, t);
      output.labels[t] = masked ? at(ids, t) : -1;
      if (masked) maskedTokens++;
    }
  }
  return maskedTokens;
}

/** See `Masking.maskGeometricSpans`. @throws {ShapeError | InputError} */
export function maskGeometricSpans(
  input: GeometricSpanMaskInput,
  output: RandomMaskOutput,
): number {
  const where = 'maskGeometricSpans';
  checkGeometricSpanMask(where, input, output);
  const { ids, offsets, ratio } = input;
  checkOffsets(where, offsets, ids.length, FAULT.offsets);
  output.ids.set(ids);
  output.labels.fill(-1, 0, ids.length);
  let masked = 0;
  for (let b = 0; b < offsets.length - 1; b++) {
    const n = at(offsets, b + 1) - at(offsets, b);
    const target = Math.floor(ratio * n);
    const runs = drawRuns(input, input.firstSequence + b, target);
    const nextWord = wordStream(input.key, PURPOSE.spanPositions, input.firstSequence + b);
    // Knuth's selection sampling: the runs are spread over all (n - target) tokens and runs.
    let t = at(offsets, b);
    for (let items = n - target + runs.length; runs.length > 0; items--) {
      if ((nextWord() / 2 ** 32) * items >= runs.length) {
        t++;
        continue;
      }
      const end = t + (runs.shift() ?? 0);
      for (; t < end; t++) {
        output.ids[t] = input.maskId;
        output.labels[t] = at(ids, t);
      }
    }
    masked += target;
  }
  return masked;
}

/** Lengths of runs that together hold `target` tokens; the last is cut to fit. */
function drawRuns(input: GeometricSpanMaskInput, sequence: number, target: number): number[] {
  const thresholds = lengthThresholds(input.stop, input.maxLength);
  const nextWord = wordStream(input.key, PURPOSE.spanLengths, sequence);
  const runs: number[] = [];
  for (let sum = 0; sum < target;) {
    const word = nextWord();
    const index = thresholds.findIndex((threshold) => word < threshold);
    const length = index < 0 ? input.maxLength : index + 1;
    runs.push(Math.min(length, target - sum));
    sum += length;
  }
  return runs;
}

/** See `Masking.packFirstFitDecreasing`. @throws {ShapeError | InputError} */
export function packFirstFitDecreasing(input: PackingInput, output: PackingOutput): Packing {
  const where = 'packFirstFitDecreasing';
  checkPacking(where, input, output);
  const { lengths, budgetTokens } = input;
  const negative = lengths.findIndex((length) => length < 0);
  if (negative >= 0) throw faultError(where, FAULT.lengths, negative);
  const sorted = [...lengths.keys()].sort((a, b) => at(lengths, b) - at(lengths, a) || a - b);
  const overlong = sorted.filter((b) => at(lengths, b) > budgetTokens);
  const bins: { room: number; members: number[] }[] = [];
  for (const b of sorted.slice(overlong.length)) {
    const length = at(lengths, b);
    let bin = bins.find(({ room }) => room >= length);
    if (!bin) bins.push((bin = { room: budgetTokens, members: [] }));
    bin.room -= length;
    bin.members.push(b);
  }
  output.order.set(bins.flatMap(({ members }) => members).concat(overlong));
  output.binOffsets[0] = 0;
  bins.forEach(({ members }, i) => {
    output.binOffsets[i + 1] = at(output.binOffsets, i) + members.length;
  });
  const packed = lengths.length - overlong.length;
  return { bins: bins.length, packed, overlong: overlong.length };
}

function checkOffsets(where: string, offsets: Int32Array, total: number, fault: number): void {
  if (at(offsets, 0) !== 0) throw faultError(where, fault, 0);
  for (let b = 1; b < offsets.length; b++) {
    if (at(offsets, b) < at(offsets, b - 1) || at(offsets, b) > total) {
      throw faultError(where, fault, b);
    }
  }
  if (at(offsets, offsets.length - 1) !== total) throw faultError(where, fault, offsets.length - 1);
}

function checkTokens(where: string, input: SpanMaskInput, first: number, last: number): void {
  const { tokenStarts: starts, tokenEnds: ends } = input;
  let previousStart = 0;
  let previousEnd = 0;
  for (let t = first; t < last; t++) {
    const start = at(starts, t);
    const end = at(ends, t);
    if (start < previousStart || end < previousEnd || start > end) {
      throw faultError(where, FAULT.tokens, t);
    }
    previousStart = start;
    previousEnd = end;
  }
}

function checkSpans(where: string, input: SpanMaskInput, first: number, last: number): void {
  let previousEnd = 0;
  for (let s = first; s < last; s++) {
    if (at(input.spanStarts, s) < previousEnd || at(input.spanStarts, s) >= at(input.spanEnds, s)) {
      throw faultError(where, FAULT.spans, s);
    }
    previousEnd = at(input.spanEnds, s);
  }
}

function checkFlags(where: string, flags: Uint8Array): void {
  const bad = flags.findIndex((flag) => flag > 1);
  if (bad >= 0) throw faultError(where, FAULT.maskFlags, bad);
}

/** Element `i`, which exists. */
function at(array: Int32Array | Uint8Array, i: number): number {
  return array[i] as number;
}
