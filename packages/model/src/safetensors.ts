// Reads and writes safetensors files of float tensors; everything is float32 in memory.
import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import { InputError, writeFileAtomic } from '@masksearch/core';
import { fromBfloat16, fromFloat16, toBfloat16 } from './float16.ts';
import type { NamedTensor } from './language-model.ts';
import { elementCount } from './parameters.ts';
import {
  bytesOf,
  headerLength,
  parseHeader,
  PREFIX_BYTES,
  type SafetensorsEntry,
} from './safetensors-header.ts';

/** How tensors are stored: F32 exactly, BF16 rounded to nearest even. */
export type StoredDtype = 'F32' | 'BF16';

/**
 * All tensors of a file in the order of their data. F16 and BF16 are widened. No memory is taken
 * for data before the whole header has been checked against the size of the file.
 * @throws {InputError} The file is absent or malformed; see `parseHeader`.
 */
export function readSafetensors(path: string): NamedTensor[] {
  if (!existsSync(path)) throw new InputError(`${path}: expected a safetensors file, found none.`);
  const descriptor = openSync(path, 'r');
  try {
    const fileBytes = fstatSync(descriptor).size;
    const read = (position: number, length: number): Uint8Array =>
      readBytes(descriptor, position, length, path);
    const length = headerLength(read(0, Math.min(PREFIX_BYTES, fileBytes)), fileBytes, path);
    const start = PREFIX_BYTES + length;
    return parseHeader(read(PREFIX_BYTES, length), fileBytes - start, path).map((entry) =>
      toTensor(entry, read(start + entry.begin, entry.end - entry.begin)),
    );
  } finally {
    closeSync(descriptor);
  }
}

/** As `readSafetensors`, from bytes. `where` names them in messages. */
export function parseSafetensors(bytes: Uint8Array, where: string): NamedTensor[] {
  const length = headerLength(bytes.subarray(0, PREFIX_BYTES), bytes.length, where);
  const start = PREFIX_BYTES + length;
  const data = bytes.subarray(start);
  return parseHeader(bytes.subarray(PREFIX_BYTES, start), data.length, where).map((entry) =>
    toTensor(entry, data.subarray(entry.begin, entry.end)),
  );
}

/** Writes tensors to a file, atomically, in the order of their names. */
export function writeSafetensors(
  path: string,
  tensors: readonly NamedTensor[],
  options: { readonly dtype?: StoredDtype } = {},
): void {
  writeFileAtomic(path, formatSafetensors(tensors, options));
}

/**
 * The bytes of a safetensors file: equal tensors give equal bytes.
 * @throws {InputError} A name is given twice, or a shape does not fit its data.
 */
export function formatSafetensors(
  tensors: readonly NamedTensor[],
  options: { readonly dtype?: StoredDtype } = {},
): Uint8Array {
  const dtype = options.dtype ?? 'F32';
  const sorted = [...tensors].sort((a, b) => (a.name < b.name ? -1 : 1));
  const entries: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  let offset = 0;
  for (const { name, shape, data } of sorted) {
    if (Object.hasOwn(entries, name) || elementCount(shape) !== data.length) {
      throw new InputError(
        `formatSafetensors: expected each name once and ${data.length} elements for ${name}, received shape (${shape.join(', ')}).`,
      );
    }
    const end = offset + data.length * bytesOf[dtype];
    entries[name] = { dtype, shape, data_offsets: [offset, end] };
    offset = end;
  }
  const text = new TextEncoder().encode(JSON.stringify(entries));
  const length = Math.ceil(text.length / 8) * 8; // data stays aligned for readers that map the file
  const bytes = new Uint8Array(PREFIX_BYTES + length + offset);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.fill(0x20, PREFIX_BYTES, PREFIX_BYTES + length);
  bytes.set(text, PREFIX_BYTES);
  let cursor = PREFIX_BYTES + length;
  for (const { data } of sorted) {
    const stored = dtype === 'F32' ? data : Uint16Array.from(data, toBfloat16);
    bytes.set(new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength), cursor);
    cursor += stored.byteLength;
  }
  return bytes;
}

function readBytes(descriptor: number, position: number, length: number, path: string): Uint8Array {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const count = readSync(descriptor, bytes, done, length - done, position + done);
    if (count === 0) {
      throw new InputError(`${path}: expected ${length} bytes at ${position}, received ${done}.`);
    }
    done += count;
  }
  return bytes;
}

function toTensor({ name, dtype, shape }: SafetensorsEntry, bytes: Uint8Array): NamedTensor {
  const aligned = bytes.slice().buffer;
  if (dtype === 'F32') return { name, shape, data: new Float32Array(aligned) };
  const widen = dtype === 'F16' ? fromFloat16 : fromBfloat16;
  return { name, shape, data: Float32Array.from(new Uint16Array(aligned), widen) };
}
