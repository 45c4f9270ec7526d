// Reads and writes whole safetensors files of float tensors; everything is float32 in memory.
import { InputError, writeFileAtomic } from '@masksearch/core';
import { narrow, widen, type StoredDtype } from './float16.ts';
import type { NamedTensor } from './language-model.ts';
import { elementCount } from './parameters.ts';
import { formatHeader, SafetensorsFile, sortByName } from './safetensors-file.ts';
import { bytesOf, headerLength, parseHeader, PREFIX_BYTES } from './safetensors-header.ts';
import { joinPieces } from './weight-source.ts';

/**
 * All tensors of a file in the order of their data. F16 and BF16 are widened. No memory is taken
 * for data before the whole header has been checked against the size of the file.
 * @throws {InputError} The file is absent or malformed; see `parseHeader`.
 */
export function readSafetensors(path: string): NamedTensor[] {
  const file = new SafetensorsFile(path);
  try {
    return file.entries.map((entry) => ({
      name: entry.name,
      shape: entry.shape,
      data: joinPieces(file.pieces(entry), elementCount(entry.shape)),
    }));
  } finally {
    file.close();
  }
}

/** As `readSafetensors`, from bytes. `where` names them in messages. */
export function parseSafetensors(bytes: Uint8Array, where: string): NamedTensor[] {
  const length = headerLength(bytes.subarray(0, PREFIX_BYTES), bytes.length, where);
  const start = PREFIX_BYTES + length;
  const data = bytes.subarray(start);
  return parseHeader(bytes.subarray(PREFIX_BYTES, start), data.length, where).map(
    ({ name, shape, dtype, begin, end }) => ({
      name,
      shape,
      data: widen(dtype, data.subarray(begin, end)),
    }),
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
  for (const { name, shape, data } of tensors) {
    if (elementCount(shape) !== data.length) {
      throw new InputError(
        `formatSafetensors: expected ${data.length} elements for ${name}, received shape (${shape.join(', ')}).`,
      );
    }
  }
  const header = formatHeader(tensors, dtype);
  const floats = tensors.reduce((sum, { data }) => sum + data.length, 0);
  const bytes = new Uint8Array(header.length + floats * bytesOf[dtype]);
  bytes.set(header);
  let cursor = header.length;
  for (const { data } of sortByName(tensors)) {
    const stored = narrow(dtype, data);
    bytes.set(stored, cursor);
    cursor += stored.length;
  }
  return bytes;
}
