// One safetensors file, open for reading piece by piece; and the writer of one from pieces.
import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import { InputError, writeWhole } from '@masksearch/core';
import { narrow, widen, type StoredDtype } from './float16.ts';
import { elementCount } from './parameters.ts';
import {
  bytesOf,
  headerLength,
  parseHeader,
  PREFIX_BYTES,
  type SafetensorsEntry,
} from './safetensors-header.ts';
import { PIECE_FLOATS, type WeightSource } from './weight-source.ts';

/** A tensor to be written. */
export interface TensorShape {
  readonly name: string;
  readonly shape: readonly number[];
}

/** Pieces of a tensor, from memory or from a model. */
export type Pieces = Iterable<Float32Array> | AsyncIterable<Float32Array>;

/** Close it when done. */
export class SafetensorsFile {
  readonly path: string;
  /** In the order of their data. */
  readonly entries: readonly SafetensorsEntry[];
  readonly #descriptor: number;
  /** Position of the first byte of data in the file. */
  readonly #start: number;

  /**
   * Checks the whole header against the size of the file before memory is taken for any data.
   * @throws {InputError} The file is absent or malformed; see `parseHeader`.
   */
  constructor(path: string) {
    if (!existsSync(path)) {
      throw new InputError(`${path}: expected a safetensors file, found none.`);
    }
    this.path = path;
    this.#descriptor = openSync(path, 'r');
    try {
      const fileBytes = fstatSync(this.#descriptor).size;
      const prefix = this.#read(0, Math.min(PREFIX_BYTES, fileBytes));
      const length = headerLength(prefix, fileBytes, path);
      this.#start = PREFIX_BYTES + length;
      this.entries = parseHeader(this.#read(PREFIX_BYTES, length), fileBytes - this.#start, path);
    } catch (error) {
      closeSync(this.#descriptor);
      throw error;
    }
  }

  /** The elements of an entry in order, widened to float32, in pieces of at most `PIECE_FLOATS`. */
  *pieces({ dtype, begin, end }: SafetensorsEntry): Generator<Float32Array> {
    const pieceBytes = PIECE_FLOATS * bytesOf[dtype];
    for (let at = begin; at < end; at += pieceBytes) {
      yield widen(dtype, this.#read(this.#start + at, Math.min(pieceBytes, end - at)));
    }
  }

  /** Its tensors, read when asked for; usable until the file is closed. */
  source(): WeightSource {
    const byName = new Map(this.entries.map((entry) => [entry.name, entry]));
    return {
      shapes: new Map(this.entries.map(({ name, shape }) => [name, shape])),
      pieces: (name) => this.pieces(byName.get(name) as SafetensorsEntry),
    };
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #read(position: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const count = readSync(this.#descriptor, bytes, done, length - done, position + done);
      if (count === 0) {
        throw new InputError(
          `${this.path}: expected ${length} bytes at ${position}, received ${done}.`,
        );
      }
      done += count;
    }
    return bytes;
  }
}

/**
 * The prefix and header of a file of these tensors, in the order of their names.
 * @throws {InputError} A name is given twice.
 */
export function formatHeader(tensors: readonly TensorShape[], dtype: StoredDtype): Uint8Array {
  const entries: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  let offset = 0;
  for (const { name, shape } of sortByName(tensors)) {
    if (Object.hasOwn(entries, name)) {
      throw new InputError(`safetensors: expected each name once, received ${name} twice.`);
    }
    const end = offset + elementCount(shape) * bytesOf[dtype];
    entries[name] = { dtype, shape, data_offsets: [offset, end] };
    offset = end;
  }
  const text = new TextEncoder().encode(JSON.stringify(entries));
  const length = Math.ceil(text.length / 8) * 8; // data stays aligned for readers that map the file
  const bytes = new Uint8Array(PREFIX_BYTES + length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.fill(0x20, PREFIX_BYTES);
  bytes.set(text, PREFIX_BYTES);
  return bytes;
}

/** By code units, the order of names in a file. */
export function sortByName<T extends { readonly name: string }>(tensors: readonly T[]): T[] {
  return [...tensors].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * Writes a file piece by piece; not atomic: to be called within `writeFolderAtomic`.
 * @throws {InputError} The pieces of a tensor do not add up to its shape.
 */
export async function writeSafetensorsPieces(
  path: string,
  tensors: readonly TensorShape[],
  dtype: StoredDtype,
  piecesOf: (name: string) => Pieces,
): Promise<void> {
  const descriptor = openSync(path, 'wx');
  try {
    writeWhole(descriptor, formatHeader(tensors, dtype));
    for (const { name, shape } of sortByName(tensors)) {
      let count = 0;
      for await (const piece of piecesOf(name)) {
        writeWhole(descriptor, narrow(dtype, piece));
        count += piece.length;
      }
      if (count !== elementCount(shape)) {
        throw new InputError(
          `${path}: expected ${elementCount(shape)} elements of ${name} (${shape.join(', ')}), received ${count}.`,
        );
      }
    }
  } finally {
    closeSync(descriptor);
  }
}
