// Types, lengths and ranges of arguments, checked before a value is read. The values inside arrays are
// checked by the operations themselves, see faults.ts.
import { InputError, ShapeError } from '@masksearch/core';
import type {
  AuthorMaskInput,
  GeometricSpanMaskInput,
  MaskedTokenSequences,
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

const INT32_MAX = 2 ** 31 - 1;

/** @throws {ShapeError | InputError} an array has the wrong type or length, or outputs overlap. */
export function checkSpanMask(where: string, input: SpanMaskInput, output: SpanMaskOutput): void {
  const arrays = new ArrayChecks(where);
  const tokens = arrays.input('ids', 'Int32Array', input.ids);
  const bounds = arrays.input('offsets', 'Int32Array', input.offsets, 'one or more');
  arrays.input('tokenStarts', 'Int32Array', input.tokenStarts, tokens);
  arrays.input('tokenEnds', 'Int32Array', input.tokenEnds, tokens);
  const spans = arrays.input('spanStarts', 'Int32Array', input.spanStarts);
  arrays.input('spanEnds', 'Int32Array', input.spanEnds, spans);
  arrays.input('spanOffsets', 'Int32Array', input.spanOffsets, bounds);
  arrays.output('output.ids', 'Int32Array', output.ids, tokens);
  arrays.output('output.offsets', 'Int32Array', output.offsets, bounds);
  arrays.output('output.labels', 'Int32Array', output.labels, tokens);
  arrays.output('output.spanTokens', 'Int32Array', output.spanTokens, spans);
  checkInteger(where, 'maskId', input.maskId, -INT32_MAX - 1, INT32_MAX);
}

/** @throws {ShapeError | InputError} as `checkSpanMask`. */
export function checkAuthorMask(where: string, input: AuthorMaskInput, mask: Uint8Array): void {
  const arrays = new ArrayChecks(where);
  const bounds = arrays.input('offsets', 'Int32Array', input.offsets, 'one or more');
  const segments = arrays.input('segmentStarts', 'Int32Array', input.segmentStarts);
  arrays.input('segmentEnds', 'Int32Array', input.segmentEnds, segments);
  arrays.input('authors', 'Uint8Array', input.authors, segments);
  arrays.input('segmentOffsets', 'Int32Array', input.segmentOffsets, bounds);
  arrays.output('mask', 'Uint8Array', mask, input.offsets[bounds - 1] ?? 0);
}

/** @throws {ShapeError | InputError} as `checkSpanMask`. */
export function checkShift(
  where: string,
  input: TokenSequences | MaskedTokenSequences,
  labels: Int32Array,
): void {
  const arrays = new ArrayChecks(where);
  const tokens = arrays.input('ids', 'Int32Array', input.ids);
  arrays.input('offsets', 'Int32Array', input.offsets, 'one or more');
  if ('mask' in input) arrays.input('mask', 'Uint8Array', input.mask, tokens);
  arrays.output('labels', 'Int32Array', labels, tokens);
}

/** @throws {ShapeError | InputError} as `checkSpanMask`; also a number is out of range. */
export function checkTokenMask(
  where: string,
  input: TokenMaskInput | WholeWordMaskInput,
  output: RandomMaskOutput,
): void {
  const arrays = checkRandomMask(where, input, output);
  if ('wordStarts' in input) {
    arrays.input('wordStarts', 'Uint8Array', input.wordStarts, input.ids.length);
  }
  checkShare(where, 'probability', input.probability);
}

/** @throws {ShapeError | InputError} as `checkTokenMask`. */
export function checkGeometricSpanMask(
  where: string,
  input: GeometricSpanMaskInput,
  output: RandomMaskOutput,
): void {
  checkRandomMask(where, input, output);
  checkShare(where, 'ratio', input.ratio);
  if (!(input.stop > 0 && input.stop < 1)) {
    throw new InputError(`${where}: expected stop in (0, 1), received ${String(input.stop)}.`);
  }
  checkInteger(where, 'maxLength', input.maxLength, 1, 4096);
}

/** @throws {ShapeError | InputError} as `checkTokenMask`. */
export function checkPacking(where: string, input: PackingInput, output: PackingOutput): void {
  const arrays = new ArrayChecks(where);
  const count = arrays.input('lengths', 'Int32Array', input.lengths);
  arrays.output('output.order', 'Int32Array', output.order, count);
  arrays.output('output.binOffsets', 'Int32Array', output.binOffsets, count + 1);
  checkInteger(where, 'budgetTokens', input.budgetTokens, 1, INT32_MAX);
}

function checkRandomMask(
  where: string,
  input: RandomMaskInput,
  output: RandomMaskOutput,
): ArrayChecks {
  const arrays = new ArrayChecks(where);
  const tokens = arrays.input('ids', 'Int32Array', input.ids);
  arrays.input('offsets', 'Int32Array', input.offsets, 'one or more');
  arrays.output('output.ids', 'Int32Array', output.ids, tokens);
  arrays.output('output.labels', 'Int32Array', output.labels, tokens);
  checkInteger(where, 'key[0]', input.key[0], 0, 2 ** 32 - 1);
  checkInteger(where, 'key[1]', input.key[1], 0, 2 ** 32 - 1);
  // The last sequence's number must still be an exact integer.
  checkInteger(where, 'firstSequence', input.firstSequence, 0, Number.MAX_SAFE_INTEGER - INT32_MAX);
  checkInteger(where, 'maskId', input.maskId, -INT32_MAX - 1, INT32_MAX);
  return arrays;
}

function checkInteger(where: string, name: string, value: number, least: number, most: number) {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new InputError(
      `${where}: expected ${name} to be an integer in ${least}..${most}, received ${String(value)}.`,
    );
  }
}

function checkShare(where: string, name: string, value: number) {
  if (typeof value !== 'number' || !(value >= 0 && value <= 1)) {
    throw new InputError(`${where}: expected ${name} in [0, 1], received ${String(value)}.`);
  }
}

type ArrayType = 'Int32Array' | 'Uint8Array';

/** Checks the arrays of one call; what it has seen tells whether an output overlaps. */
class ArrayChecks {
  readonly #where: string;
  readonly #seen: { name: string; array: Int32Array | Uint8Array; written: boolean }[] = [];

  constructor(where: string) {
    this.#where = where;
  }

  /** Returns the length, which must be `expected` if that is given. */
  input(
    name: string,
    type: ArrayType,
    array: Int32Array | Uint8Array,
    expected?: number | 'one or more',
  ): number {
    this.#checkType(name, type, array);
    const { length } = array;
    if (expected === 'one or more' ? length < 1 : length !== (expected ?? length)) {
      throw new ShapeError(
        `${this.#where}: expected ${name} to have ${expected} elements, received ${length}.`,
      );
    }
    this.#checkOverlap(name, array, false);
    return length;
  }

  output(name: string, type: ArrayType, array: Int32Array | Uint8Array, atLeast: number): void {
    this.#checkType(name, type, array);
    if (array.length < atLeast) {
      throw new ShapeError(
        `${this.#where}: expected ${name} to have room for ${atLeast} elements, received ${array.length}.`,
      );
    }
    this.#checkOverlap(name, array, true);
  }

  #checkType(name: string, type: ArrayType, array: unknown): void {
    // The tag, unlike instanceof, also knows arrays of another realm.
    const tag = ArrayBuffer.isView(array) ? String(Reflect.get(array, Symbol.toStringTag)) : '';
    if (tag !== type) {
      throw new ShapeError(
        `${this.#where}: expected ${name} to be an ${type}, received ${tag || typeof array}.`,
      );
    }
  }

  #checkOverlap(name: string, array: Int32Array | Uint8Array, written: boolean): void {
    if (Object.prototype.toString.call(array.buffer) === '[object SharedArrayBuffer]') {
      throw new InputError(
        `${this.#where}: expected ${name} over memory of its own, received a SharedArrayBuffer; copy it first.`,
      );
    }
    for (const other of this.#seen) {
      if ((written || other.written) && overlap(array, other.array)) {
        throw new InputError(
          `${this.#where}: expected ${name} and ${other.name} not to share memory, received overlapping arrays.`,
        );
      }
    }
    this.#seen.push({ name, array, written });
  }
}

function overlap(a: Int32Array | Uint8Array, b: Int32Array | Uint8Array): boolean {
  return (
    a.buffer === b.buffer &&
    a.byteOffset < b.byteOffset + b.byteLength &&
    b.byteOffset < a.byteOffset + a.byteLength
  );
}
