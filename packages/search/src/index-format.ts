// What an index folder holds, and how its arrays are written and read back whole.
import { endianness } from 'node:os';
import { crc32 } from 'node:zlib';
import { IntegrityError, UnavailableError } from '@masksearch/core';
import { z } from 'zod';
import type { ByteFile } from './byte-file.ts';
import { bytesOf } from './posting-runs.ts';

/** Version, configuration and checksums. */
export const HEADER_FILE = 'header.json';
/** Typed arrays one after the other, little-endian, 8-byte aligned. */
export const ARRAYS_FILE = 'arrays.bin';
/** The passages as JSON lines, in corpus order. */
export const PASSAGES_FILE = 'passages.jsonl';

export const INDEX_FORMAT = 'masksearch-bm25';
export const INDEX_VERSION = 1;

const byteCount = z.int().min(0);
const sectionSchema = z.strictObject({
  offset: byteCount,
  bytes: byteCount,
  crc32: z.int().min(0),
});
export type Section = z.infer<typeof sectionSchema>;

/**
 * The arrays of an index; n passages, t terms.
 * - passageLengths u32[n], terms each
 * - passageOffsets f64[n + 1], where each line of the passages file starts
 * - passageChecksums u32[n], CRC-32 of each line
 * - id* and term*: string tables (see string-table.ts)
 * - postingOffsets f64[t], postingCounts u32[t], postingWidths u8[t], postingChecksums u32[t], postingBounds f64[t]:
 *   where each list starts in `postings`, its length, bytes per frequency, its CRC-32, and the most that
 *   frequency / (frequency + norm) reaches in it
 */
const resident = {
  passageLengths: sectionSchema,
  passageOffsets: sectionSchema,
  passageChecksums: sectionSchema,
  idText: sectionSchema,
  idOffsets: sectionSchema,
  idSlots: sectionSchema,
  termText: sectionSchema,
  termOffsets: sectionSchema,
  termSlots: sectionSchema,
  postingOffsets: sectionSchema,
  postingCounts: sectionSchema,
  postingWidths: sectionSchema,
  postingChecksums: sectionSchema,
  postingBounds: sectionSchema,
};

export const headerSchema = z.strictObject({
  format: z.literal(INDEX_FORMAT),
  version: z.literal(INDEX_VERSION),
  analysis: z.string(),
  k1: z.number().min(0),
  b: z.number().min(0).max(1),
  passages: z.int().min(0),
  terms: z.int().min(0),
  /** Sum of all passage lengths, in terms. */
  totalLength: z.int().min(0),
  arraysBytes: byteCount,
  passagesBytes: byteCount,
  sections: z.strictObject(resident),
});
export type IndexHeader = z.infer<typeof headerSchema>;
export type SectionName = keyof typeof resident;

/** @throws {UnavailableError} on a big-endian machine, whose typed arrays the files do not fit. */
export function requireLittleEndian(): void {
  if (endianness() !== 'LE') {
    throw new UnavailableError('search index: expected a little-endian machine, received another.');
  }
}

/** The header's file content: its JSON and a CRC-32 of that. */
export function encodeHeader(header: IndexHeader): string {
  return `${JSON.stringify({ crc32: crc32(JSON.stringify(header)), header }, null, 1)}\n`;
}

const headerFileSchema = z.strictObject({ crc32: z.int(), header: z.unknown() });

/** @throws {IntegrityError} the text is not an intact header of this format and version. */
export function decodeHeader(text: string, where: string): IndexHeader {
  const damaged = (reason: string, cause?: unknown): IntegrityError =>
    new IntegrityError(
      `${where}: expected the header of a search index (${INDEX_FORMAT}, version ${INDEX_VERSION}), ${reason}; build the index again.`,
      { data: { file: where }, cause },
    );
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw damaged('received text that is not JSON', error);
  }
  const file = headerFileSchema.safeParse(value);
  if (!file.success) throw damaged('received other JSON', file.error);
  if (crc32(JSON.stringify(file.data.header)) !== file.data.crc32) {
    throw damaged('received one that does not match its checksum');
  }
  const header = headerSchema.safeParse(file.data.header);
  if (!header.success) throw damaged('received another format or version', header.error);
  return header.data;
}

/** Appends one array, aligned. */
export function appendSection(
  file: ByteFile,
  array: Uint8Array | Uint32Array | Float64Array,
): Section {
  alignFile(file);
  const bytes = bytesOf(array);
  const section = { offset: file.size, bytes: bytes.length, crc32: crc32(bytes) };
  file.append(bytes);
  return section;
}

/** Pads to a multiple of 8 bytes. */
export function alignFile(file: ByteFile): void {
  const excess = file.size % 8;
  if (excess > 0) file.append(new Uint8Array(8 - excess));
}

/** @throws {IntegrityError} the section is cut off or does not match its checksum. */
export function readSection(
  file: ByteFile,
  section: Section,
  name: string,
): Uint8Array<ArrayBuffer> {
  const bytes = file.read(section.offset, section.bytes);
  if (crc32(bytes) !== section.crc32) throw checksumError(file.name, name);
  return bytes;
}

export function checksumError(file: string, what: string): IntegrityError {
  return new IntegrityError(
    `${file}: expected ${what} to match its checksum, received other bytes; build the index again.`,
    { data: { file, what } },
  );
}
