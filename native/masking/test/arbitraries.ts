// Batches for the tests: well-formed ones, and ones with anything in them.
import fc from 'fast-check';
import type {
  AuthorMaskInput,
  GeometricSpanMaskInput,
  MaskedTokenSequences,
  PackingInput,
  RandomMaskInput,
  SpanMaskInput,
  TokenMaskInput,
  WholeWordMaskInput,
} from '../src/contracts.ts';

const id = fc.integer({ min: -5, max: 60_000 });

/** Tokens with ranges of 0 to 5 characters, gaps and shared characters; spans with and without tokens. */
const sequence = fc.record({
  tokens: fc.array(
    fc.record({
      id,
      gap: fc.integer({ min: 0, max: 2 }),
      length: fc.integer({ min: 0, max: 5 }),
      shared: fc.boolean(),
    }),
    // `max`: lengths up to the end, so that native code passes its blocks of 16.
    { maxLength: 60, size: 'max' },
  ),
  spans: fc.array(
    fc.record({
      gap: fc.integer({ min: 0, max: 30 }),
      length: fc.integer({ min: 1, max: 12 }),
    }),
    { maxLength: 6, size: 'max' },
  ),
});

export const spanMaskInputs: fc.Arbitrary<SpanMaskInput> = fc
  .tuple(fc.array(sequence, { maxLength: 6 }), id)
  .map(([sequences, maskId]) => {
    const starts: number[] = [];
    const ends: number[] = [];
    const spanStarts: number[] = [];
    const spanEnds: number[] = [];
    for (const { tokens, spans } of sequences) {
      let [start, end] = [0, 0];
      for (const token of tokens) {
        if (!token.shared) start = end + token.gap;
        end = Math.max(end, start + token.length);
        starts.push(start);
        ends.push(end);
      }
      let cursor = 0;
      for (const span of spans) {
        spanStarts.push(cursor + span.gap);
        cursor += span.gap + span.length;
        spanEnds.push(cursor);
      }
    }
    return {
      ids: Int32Array.from(sequences.flatMap(({ tokens }) => tokens.map((token) => token.id))),
      offsets: offsetsOf(sequences.map(({ tokens }) => tokens.length)),
      tokenStarts: Int32Array.from(starts),
      tokenEnds: Int32Array.from(ends),
      spanStarts: Int32Array.from(spanStarts),
      spanEnds: Int32Array.from(spanEnds),
      spanOffsets: offsetsOf(sequences.map(({ spans }) => spans.length)),
      maskId,
    };
  });

export const authorMaskInputs: fc.Arbitrary<AuthorMaskInput> = fc
  .array(
    fc.array(fc.record({ author: fc.integer({ min: 0, max: 3 }), length: fc.nat({ max: 20 }) })),
    { maxLength: 6 },
  )
  .map((sequences) => {
    const starts: number[] = [];
    const ends: number[] = [];
    for (const segments of sequences) {
      let cursor = 0;
      for (const { length } of segments) {
        starts.push(cursor);
        cursor += length;
        ends.push(cursor);
      }
    }
    const total = (segments: readonly { length: number }[]) =>
      segments.reduce((sum, { length }) => sum + length, 0);
    return {
      offsets: offsetsOf(sequences.map(total)),
      segmentStarts: Int32Array.from(starts),
      segmentEnds: Int32Array.from(ends),
      authors: Uint8Array.from(sequences.flat(), ({ author }) => author),
      segmentOffsets: offsetsOf(sequences.map((segments) => segments.length)),
    };
  });

export const maskedSequences: fc.Arbitrary<MaskedTokenSequences> = fc
  .array(fc.array(fc.record({ id, flag: fc.integer({ min: 0, max: 1 }) }), { maxLength: 40 }), {
    maxLength: 6,
  })
  .map((sequences) => ({
    ids: Int32Array.from(sequences.flat(), (token) => token.id),
    offsets: offsetsOf(sequences.map((tokens) => tokens.length)),
    mask: Uint8Array.from(sequences.flat(), ({ flag }) => flag),
  }));

const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const share = fc.oneof(
  fc.constantFrom(0, 0.15, 0.5, 1),
  fc.double({ min: 0, max: 1, noNaN: true }),
);

export const randomMaskInputs: fc.Arbitrary<
  RandomMaskInput & TokenMaskInput & WholeWordMaskInput & GeometricSpanMaskInput
> = fc
  .tuple(
    maskedSequences,
    fc.tuple(uint32, uint32),
    fc.oneof(fc.nat(), fc.constant(2 ** 32 - 2), fc.constant(2 ** 40)),
    fc.record({
      maskId: id,
      probability: share,
      ratio: share,
      stop: fc.double({ min: 0.01, max: 0.99, noNaN: true }),
      maxLength: fc.integer({ min: 1, max: 20 }),
    }),
  )
  .map(([{ ids, offsets, mask }, key, firstSequence, settings]) => ({
    ids,
    offsets,
    wordStarts: mask,
    key,
    firstSequence,
    ...settings,
  }));

export const packingInputs: fc.Arbitrary<PackingInput> = fc.record({
  lengths: fc
    .array(fc.integer({ min: 0, max: 40 }), { maxLength: 80 })
    .map((lengths) => Int32Array.from(lengths)),
  budgetTokens: fc.integer({ min: 1, max: 60 }),
});

/** Offsets (B + 1) of sequences with these lengths. */
export function offsetsOf(lengths: readonly number[]): Int32Array {
  const offsets = new Int32Array(lengths.length + 1);
  lengths.forEach((length, i) => {
    offsets[i + 1] = (offsets[i] ?? 0) + length;
  });
  return offsets;
}

/** The same input with one element of one array replaced by any number. */
export function damaged<T extends object>(inputs: fc.Arbitrary<T>): fc.Arbitrary<T> {
  const value = fc.oneof(
    fc.integer({ min: -3, max: 50 }),
    fc.constantFrom(-(2 ** 31), 2 ** 31 - 1),
  );
  return fc.tuple(inputs, fc.nat(), fc.nat(), value).map(([input, which, where, number]) => {
    const copy = structuredClone(input);
    const arrays = Object.values(copy).filter(
      (field): field is Int32Array | Uint8Array =>
        field instanceof Int32Array || field instanceof Uint8Array,
    );
    const array = arrays[which % arrays.length];
    if (array && array.length > 0) array[where % array.length] = number;
    return copy;
  });
}
