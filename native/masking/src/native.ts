// The masking operations in C++: checks here, work in the addon. See contracts.ts for each.
import { loadAddon } from './addon.ts';
import {
  checkAuthorMask,
  checkGeometricSpanMask,
  checkPacking,
  checkShift,
  checkSpanMask,
  checkTokenMask,
} from './checks.ts';
import type {
  AuthorMaskInput,
  GeometricSpanMaskInput,
  MaskedTokenSequences,
  Packing,
  PackingInput,
  PackingOutput,
  RandomMaskInput,
  RandomMaskOutput,
  SpanMaskInput,
  SpanMaskOutput,
  TokenMaskInput,
  TokenSequences,
  WholeWordMaskInput,
} from './contracts.ts';
import { faultError } from './faults.ts';
import { lengthThresholds } from './geometric.ts';

/** See `Masking.maskSpansCollapsed`. @throws {ShapeError | InputError | UnavailableError} */
export function maskSpansCollapsed(input: SpanMaskInput, output: SpanMaskOutput): number {
  const where = 'maskSpansCollapsed';
  checkSpanMask(where, input, output);
  const { maskSpansCollapsed: mask } = loadAddon();
  return withFaults(where, () => mask(...spanMaskArguments(input, output)));
}

/** See `Masking.maskSpansPerToken`. @throws {ShapeError | InputError | UnavailableError} */
export function maskSpansPerToken(input: SpanMaskInput, output: SpanMaskOutput): number {
  const where = 'maskSpansPerToken';
  checkSpanMask(where, input, output);
  const { maskSpansPerToken: mask } = loadAddon();
  return withFaults(where, () => mask(...spanMaskArguments(input, output)));
}

/** See `Masking.authorMask`. @throws {ShapeError | InputError | UnavailableError} */
export function authorMask(input: AuthorMaskInput, mask: Uint8Array): number {
  const where = 'authorMask';
  checkAuthorMask(where, input, mask);
  const { offsets, segmentStarts, segmentEnds, authors, segmentOffsets } = input;
  const addon = loadAddon();
  return withFaults(where, () =>
    addon.authorMask(offsets, segmentStarts, segmentEnds, authors, segmentOffsets, mask),
  );
}

/** See `Masking.shiftedLabels`. @throws {ShapeError | InputError | UnavailableError} */
export function shiftedLabels(input: TokenSequences, labels: Int32Array): number {
  const where = 'shiftedLabels';
  checkShift(where, { ids: input.ids, offsets: input.offsets }, labels);
  const addon = loadAddon();
  return withFaults(where, () => addon.shiftedLabels(input.ids, input.offsets, labels));
}

/** See `Masking.shiftedPolicyLabels`. @throws {ShapeError | InputError | UnavailableError} */
export function shiftedPolicyLabels(input: MaskedTokenSequences, labels: Int32Array): number {
  const where = 'shiftedPolicyLabels';
  checkShift(where, input, labels);
  const addon = loadAddon();
  return withFaults(where, () =>
    addon.shiftedPolicyLabels(input.ids, input.offsets, input.mask, labels),
  );
}

/** See `Masking.maskRandomTokens`. @throws {ShapeError | InputError | UnavailableError} */
export function maskRandomTokens(input: TokenMaskInput, output: RandomMaskOutput): number {
  const where = 'maskRandomTokens';
  checkTokenMask(where, input, output);
  const addon = loadAddon();
  return withFaults(where, () =>
    addon.maskRandomTokens(...randomArguments(input), input.probability, output.ids, output.labels),
  );
}

/** See `Masking.maskWholeWords`. @throws {ShapeError | InputError | UnavailableError} */
export function maskWholeWords(input: WholeWordMaskInput, output: RandomMaskOutput): number {
  const where = 'maskWholeWords';
  checkTokenMask(where, input, output);
  const { wordStarts, probability } = input;
  const addon = loadAddon();
  return withFaults(where, () =>
    addon.maskWholeWords(
      ...randomArguments(input),
      wordStarts,
      probability,
      output.ids,
      output.labels,
    ),
  );
}

/** See `Masking.maskGeometricSpans`. @throws {ShapeError | InputError | UnavailableError} */
export function maskGeometricSpans(
  input: GeometricSpanMaskInput,
  output: RandomMaskOutput,
): number {
  const where = 'maskGeometricSpans';
  checkGeometricSpanMask(where, input, output);
  const thresholds = lengthThresholds(input.stop, input.maxLength);
  const addon = loadAddon();
  return withFaults(where, () =>
    addon.maskGeometricSpans(
      ...randomArguments(input),
      input.ratio,
      thresholds,
      output.ids,
      output.labels,
    ),
  );
}

/** See `Masking.packFirstFitDecreasing`. @throws {ShapeError | InputError | UnavailableError} */
export function packFirstFitDecreasing(input: PackingInput, output: PackingOutput): Packing {
  const where = 'packFirstFitDecreasing';
  checkPacking(where, input, output);
  const addon = loadAddon();
  const { lengths, budgetTokens } = input;
  const bins = withFaults(where, () =>
    addon.packFirstFitDecreasing(lengths, budgetTokens, output.order, output.binOffsets),
  );
  const packed = output.binOffsets[bins] ?? 0;
  return { bins, packed, overlong: lengths.length - packed };
}

function spanMaskArguments(input: SpanMaskInput, output: SpanMaskOutput) {
  return [
    input.ids,
    input.offsets,
    input.tokenStarts,
    input.tokenEnds,
    input.spanStarts,
    input.spanEnds,
    input.spanOffsets,
    input.maskId,
    output.ids,
    output.offsets,
    output.labels,
    output.spanTokens,
  ] as const;
}

function randomArguments(input: RandomMaskInput) {
  const { ids, offsets, key, firstSequence, maskId } = input;
  return [ids, offsets, key[0], key[1], firstSequence, maskId] as const;
}

/** Runs one call of the addon; its faults become InputErrors, its refusals keep their message. */
function withFaults(where: string, call: () => number): number {
  try {
    return call();
  } catch (error) {
    const { fault, position } = error as { fault?: unknown; position?: unknown };
    if (typeof fault !== 'number' || typeof position !== 'number') throw error;
    throw faultError(where, fault, position);
  }
}
