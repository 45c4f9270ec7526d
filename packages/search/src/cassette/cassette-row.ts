// One line of a cassette: a search call and what it gave, with a checksum that finds a torn or damaged line.
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { searchResultSchema } from '@masksearch/core';
import { z } from 'zod';
import type { SearchRequest } from '../search-tool.ts';

/** What a call gave: results, or how it failed. */
const outcomeShape = {
  results: z.array(searchResultSchema),
  /** Present when the call failed; `results` is empty then. */
  error: z
    .strictObject({ code: z.enum(['timeout', 'unavailable', 'input']), message: z.string() })
    .optional(),
};

export const cassetteRowSchema = z.strictObject({
  version: z.literal(1),
  provider: z.string().min(1),
  /** Fingerprint of what was searched, or null where the tool has none. */
  index: z.string().nullable(),
  query: z.string(),
  topK: z.int().min(1),
  /** Sorted. */
  exclude: z.array(z.string()),
  ...outcomeShape,
});
export type CassetteRow = z.infer<typeof cassetteRowSchema>;

/** Ends every line: `,"crc32":"0123abcd"}`. */
const SEAL_LENGTH = 20;

/** A line without its line break; the checksum covers the bytes before it. */
export function encodeRow(row: CassetteRow): Buffer {
  const body = Buffer.from(JSON.stringify(row).slice(0, -1), 'utf8');
  return Buffer.concat([body, Buffer.from(sealOf(body), 'utf8')]);
}

/** What a whole line holds, or undefined for a torn or damaged one. */
export function decodeRow(line: Uint8Array): CassetteRow | undefined {
  const bytes = Buffer.from(line.buffer, line.byteOffset, line.byteLength);
  const body = bytes.subarray(0, Math.max(0, bytes.length - SEAL_LENGTH));
  if (bytes.subarray(body.length).toString('utf8') !== sealOf(body)) return undefined;
  const result = cassetteRowSchema.safeParse(JSON.parse(`${body.toString('utf8')}}`));
  return result.success ? result.data : undefined;
}

function sealOf(body: Uint8Array): string {
  return `,"crc32":"${crc32(body).toString(16).padStart(8, '0')}"}`;
}

/** The excluded passages as a row holds them. */
export function excludeOf({ exclude }: SearchRequest): string[] {
  return [...(exclude ?? [])].sort();
}

/** Equal for equal requests; 16 bytes in base64, so that a million of them stay small in memory. */
export function keyOf(request: Pick<CassetteRow, 'query' | 'topK' | 'exclude'>): string {
  const { query, topK, exclude } = request;
  const hash = createHash('sha256')
    .update(JSON.stringify([query, topK, exclude]))
    .digest();
  return hash.subarray(0, 16).toString('base64');
}
