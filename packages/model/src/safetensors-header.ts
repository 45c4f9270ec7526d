// Reads the header of a safetensors file and distrusts every number in it. Knows nothing about files.
import { InputError } from '@masksearch/core';
import { elementCount } from './parameters.ts';

export const bytesOf = { F32: 4, F16: 2, BF16: 2 } as const;
export type SafetensorsDtype = keyof typeof bytesOf;

/** One entry of a header; offsets count from the end of the header. */
export interface SafetensorsEntry {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** Bytes before the header: its length as a little-endian 64-bit integer. */
export const PREFIX_BYTES = 8;

/** The limit of the reference implementation, far above any real header. */
const LONGEST_HEADER_BYTES = 100_000_000;

/**
 * Length of the header in bytes.
 * @param prefix    The first 8 bytes of the file.
 * @param fileBytes Size of the whole file.
 * @throws {InputError} The header would not fit into the file or is longer than any real one.
 */
export function headerLength(prefix: Uint8Array, fileBytes: number, where: string): number {
  if (prefix.length < PREFIX_BYTES) {
    throw new InputError(
      `${where}: expected a safetensors file of at least ${PREFIX_BYTES} bytes, received ${fileBytes}.`,
    );
  }
  const view = new DataView(prefix.buffer, prefix.byteOffset, PREFIX_BYTES);
  const length = view.getUint32(4, true) * 2 ** 32 + view.getUint32(0, true);
  if (length > LONGEST_HEADER_BYTES || length > fileBytes - PREFIX_BYTES) {
    throw new InputError(
      `${where}: expected a header of at most ${Math.min(LONGEST_HEADER_BYTES, fileBytes - PREFIX_BYTES)} bytes, received length ${length}.`,
    );
  }
  return length;
}

/**
 * Entries of a header in the order of their data.
 * @param dataBytes Bytes of the file after the header.
 * @throws {InputError} Not JSON of the right form; a dtype other than F32, F16, BF16; a size that
 *   differs from its shape; data out of range, overlapping, or with bytes that belong to no tensor.
 */
export function parseHeader(
  header: Uint8Array,
  dataBytes: number,
  where: string,
): SafetensorsEntry[] {
  const entries: SafetensorsEntry[] = [];
  for (const [name, value] of Object.entries(parseObject(header, where))) {
    if (name === '__metadata__') checkMetadata(value, where);
    else entries.push(parseEntry(name, value, dataBytes, where));
  }
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let covered = 0;
  for (const entry of entries) {
    if (entry.begin !== covered) {
      throw new InputError(
        `${where}: expected the data of ${entry.name} to begin at ${covered}, where the tensor before it ends, received ${entry.begin}.`,
      );
    }
    covered = entry.end;
  }
  if (covered !== dataBytes) {
    throw new InputError(
      `${where}: expected ${covered} bytes of data, received ${dataBytes}; the file is cut or has bytes of no tensor.`,
    );
  }
  return entries;
}

function parseObject(header: Uint8Array, where: string): object {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(header));
  } catch (cause) {
    throw new InputError(`${where}: expected a JSON header, received something else.`, { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InputError(`${where}: expected the header to be a JSON object.`);
  }
  return value;
}

function checkMetadata(value: unknown, where: string): void {
  const isMap = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isMap || Object.values(value).some((text) => typeof text !== 'string')) {
    throw new InputError(`${where}: expected __metadata__ to map strings to strings.`);
  }
}

function parseEntry(
  name: string,
  value: unknown,
  dataBytes: number,
  where: string,
): SafetensorsEntry {
  const entry = (typeof value === 'object' && value !== null ? value : {}) as Record<
    string,
    unknown
  >;
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== 'string' || !Object.hasOwn(bytesOf, dtype)) {
    throw new InputError(
      `${where}: expected ${name} to have dtype F32, F16 or BF16, received ${JSON.stringify(dtype)}.`,
    );
  }
  if (!isCountArray(shape)) {
    throw new InputError(
      `${where}: expected the shape of ${name} to be an array of sizes, received ${JSON.stringify(shape)}.`,
    );
  }
  if (!isCountArray(offsets) || offsets.length !== 2) {
    throw new InputError(
      `${where}: expected data_offsets of ${name} to be two offsets, received ${JSON.stringify(offsets)}.`,
    );
  }
  const [begin, end] = offsets as [number, number];
  if (begin > end || end > dataBytes) {
    throw new InputError(
      `${where}: expected the data of ${name} within 0..${dataBytes}, received ${begin}..${end}.`,
    );
  }
  const bytes = elementCount(shape) * bytesOf[dtype as SafetensorsDtype];
  if (bytes !== end - begin) {
    throw new InputError(
      `${where}: expected ${bytes} bytes for ${name} ${dtype} (${shape.join(', ')}), received ${end - begin}.`,
    );
  }
  return { name, dtype: dtype as SafetensorsDtype, shape, begin, end };
}

function isCountArray(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}
