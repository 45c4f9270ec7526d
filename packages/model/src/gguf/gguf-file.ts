// Writes GGUF files (version 3): typed key-values, tensor infos, aligned data. Knows nothing about models.
import { InputError, writePiecesAtomic, writeWhole } from '@masksearch/core';
import { elementCount } from '../parameters.ts';
import type { Pieces } from '../safetensors-file.ts';
import { blockElements, encodeGguf, encodedBytes, type GgufDtype } from './quantize.ts';

/** A value with its type in the file; integers are unsigned unless they are token types. */
export type GgufValue =
  | { readonly type: 'u32' | 'f32'; readonly value: number }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'strings'; readonly value: readonly string[] }
  | { readonly type: 'i32s'; readonly value: readonly number[] };

/** A tensor to be written. */
export interface GgufTensor {
  readonly name: string;
  /** As in safetensors, slowest dimension first. */
  readonly shape: readonly number[];
  readonly dtype: GgufDtype;
  readonly pieces: () => Pieces;
}

/** Numbers of ggml's enums. */
const VALUE_TYPES = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const;
const TENSOR_TYPES: Readonly<Record<GgufDtype, number>> = { F32: 0, F16: 1, Q8_0: 8, BF16: 30 };

const MAGIC = 0x46554747; // "GGUF"
const VERSION = 3;
const ALIGNMENT = 32;

/**
 * Writes a file in one rename.
 * @throws {InputError} The pieces of a tensor do not add up to its shape.
 */
export async function writeGguf(
  path: string,
  values: ReadonlyMap<string, GgufValue>,
  tensors: readonly GgufTensor[],
): Promise<void> {
  await writePiecesAtomic(path, async (descriptor) => {
    writeWhole(descriptor, padded(formatHeader(values, tensors)));
    for (const tensor of tensors) await writeTensor(descriptor, tensor);
  });
}

async function writeTensor(
  descriptor: number,
  { name, shape, dtype, pieces }: GgufTensor,
): Promise<void> {
  let elements = 0;
  let bytes = 0;
  for await (const piece of pieces()) {
    if (piece.length % blockElements(dtype) !== 0) {
      throw new InputError(
        `writeGguf: expected pieces of ${name} in whole blocks of ${blockElements(dtype)}, received ${piece.length} elements.`,
      );
    }
    const encoded = encodeGguf(dtype, piece);
    writeWhole(descriptor, encoded);
    elements += piece.length;
    bytes += encoded.length;
  }
  if (elements !== elementCount(shape)) {
    throw new InputError(
      `writeGguf: expected ${elementCount(shape)} elements of ${name} (${shape.join(', ')}), received ${elements}.`,
    );
  }
  writeWhole(descriptor, new Uint8Array(paddingAfter(bytes)));
}

function formatHeader(
  values: ReadonlyMap<string, GgufValue>,
  tensors: readonly GgufTensor[],
): Uint8Array {
  const out = new ByteWriter();
  out.u32(MAGIC);
  out.u32(VERSION);
  out.u64(tensors.length);
  out.u64(values.size);
  for (const [key, value] of values) {
    out.string(key);
    writeValue(out, value);
  }
  let offset = 0;
  for (const { name, shape, dtype } of tensors) {
    out.string(name);
    out.u32(shape.length);
    for (const size of shape.toReversed()) out.u64(size); // fastest dimension first
    out.u32(TENSOR_TYPES[dtype]);
    out.u64(offset);
    const bytes = encodedBytes(dtype, elementCount(shape));
    offset += bytes + paddingAfter(bytes);
  }
  return out.bytes();
}

type GgufArray = Extract<GgufValue, { readonly value: readonly unknown[] }>;
type GgufScalar = Exclude<GgufValue, GgufArray>;

function writeValue(out: ByteWriter, item: GgufValue): void {
  if (item.type === 'strings' || item.type === 'i32s') {
    out.u32(VALUE_TYPES.array);
    writeArray(out, item);
  } else {
    out.u32(VALUE_TYPES[item.type]);
    writeScalar(out, item);
  }
}

function writeArray(out: ByteWriter, { type, value }: GgufArray): void {
  out.u32(type === 'strings' ? VALUE_TYPES.string : VALUE_TYPES.i32);
  out.u64(value.length);
  for (const element of value) {
    if (typeof element === 'string') out.string(element);
    else out.u32(element >>> 0);
  }
}

function writeScalar(out: ByteWriter, { type, value }: GgufScalar): void {
  switch (type) {
    case 'u32':
      return out.u32(value);
    case 'f32':
      return out.f32(value);
    case 'bool':
      return out.u8(value ? 1 : 0);
    case 'string':
      return out.string(value);
    default:
      return type satisfies never;
  }
}

function paddingAfter(bytes: number): number {
  return (ALIGNMENT - (bytes % ALIGNMENT)) % ALIGNMENT;
}

function padded(bytes: Uint8Array): Uint8Array {
  const result = new Uint8Array(bytes.length + paddingAfter(bytes.length));
  result.set(bytes);
  return result;
}

/** Little-endian bytes that grow. */
class ByteWriter {
  #buffer = new Uint8Array(1 << 16);
  #view = new DataView(this.#buffer.buffer);
  #length = 0;

  bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  u8(value: number): void {
    const at = this.#advance(1);
    this.#view.setUint8(at, value);
  }

  u32(value: number): void {
    const at = this.#advance(4);
    this.#view.setUint32(at, value, true);
  }

  u64(value: number): void {
    const at = this.#advance(8);
    this.#view.setBigUint64(at, BigInt(value), true);
  }

  f32(value: number): void {
    const at = this.#advance(4);
    this.#view.setFloat32(at, value, true);
  }

  string(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.u64(bytes.length);
    const at = this.#advance(bytes.length);
    this.#buffer.set(bytes, at);
  }

  /** Makes room, which may replace buffer and view, and returns where it begins. */
  #advance(count: number): number {
    const start = this.#length;
    this.#length += count;
    if (this.#length > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(this.#length, 2 * this.#buffer.length));
      grown.set(this.#buffer.subarray(0, start));
      this.#buffer = grown;
      this.#view = new DataView(grown.buffer);
    }
    return start;
  }
}
