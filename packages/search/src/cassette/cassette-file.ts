// A cassette on disk: JSON lines that several processes append to and that a kill at any byte leaves readable.
import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { InputError, IntegrityError, UnavailableError } from '@masksearch/core';
import type { SearchRequest } from '../search-tool.ts';
import { type CassetteRow, decodeRow, encodeRow, excludeOf, keyOf } from './cassette-row.ts';

const NEWLINE = 0x0a;
const CHUNK_BYTES = 1 << 20;

interface Place {
  readonly offset: number;
  readonly bytes: number;
  readonly failed: boolean;
}

/**
 * The rows of one cassette by request. In memory are only their places in the file. Of equal requests the first row
 * counts, but a call that failed gives way to one that did not. Lines that are torn or damaged are passed over: their
 * requests are unknown, never answered wrongly.
 */
export class CassetteFile {
  readonly path: string;
  readonly #descriptor: number;
  readonly #places = new Map<string, Place>();
  #scanned = 0;
  #damaged = 0;
  #origin: Pick<CassetteRow, 'provider' | 'index'> | undefined;

  /**
   * @param mode `append` creates the file where there is none.
   * @throws {InputError} there is none to read.
   * @throws {IntegrityError} it holds answers of more than one tool or index.
   */
  constructor(path: string, mode: 'read' | 'append') {
    this.path = path;
    if (mode === 'read' && !existsSync(path)) {
      throw new InputError(`${path}: expected a cassette, found none; record one first.`);
    }
    if (mode === 'append') mkdirSync(dirname(path), { recursive: true });
    this.#descriptor = openSync(path, mode === 'append' ? 'a+' : 'r');
    try {
      this.#scan();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Requests that have an answer or a failure. */
  get size(): number {
    return this.#places.size;
  }

  /** Lines passed over because they are torn or damaged. */
  get damagedLines(): number {
    return this.#damaged;
  }

  /** The tool that was recorded, or undefined while there are no rows. */
  get origin(): Pick<CassetteRow, 'provider' | 'index'> | undefined {
    return this.#origin;
  }

  /** The row of a request, or undefined. @throws {IntegrityError} the file has changed under it. */
  find(request: SearchRequest): CassetteRow | undefined {
    const wanted = { query: request.query, topK: request.topK, exclude: excludeOf(request) };
    const place = this.#places.get(keyOf(wanted));
    if (place === undefined) return undefined;
    const row = decodeRow(this.#read(place.offset, place.bytes));
    if (row === undefined) {
      throw new IntegrityError(
        `${this.path}: expected the row at byte ${place.offset} to be as it was at opening, received other bytes.`,
      );
    }
    return row;
  }

  /**
   * Adds a row in one write, so that rows of several processes never mix.
   * @throws {UnavailableError} the disk took only a part.
   * @throws {IntegrityError} another process has recorded another tool or index here.
   */
  append(row: CassetteRow): void {
    const line = Buffer.concat([encodeRow(row), Buffer.of(NEWLINE)]);
    const bytes = this.#endsInMidLine() ? Buffer.concat([Buffer.of(NEWLINE), line]) : line;
    const written = writeSync(this.#descriptor, bytes);
    if (written !== bytes.length) {
      throw new UnavailableError(
        `${this.path}: expected to write ${bytes.length} bytes, wrote ${written}; is the disk full?`,
      );
    }
    this.#scan();
  }

  close(): void {
    fsyncSync(this.#descriptor);
    closeSync(this.#descriptor);
  }

  /** True after a writer was killed in the middle of a line; what it left must not run into ours. */
  #endsInMidLine(): boolean {
    const { size } = fstatSync(this.#descriptor);
    return size > 0 && this.#read(size - 1, 1)[0] !== NEWLINE;
  }

  /** Takes in the whole lines that have come since the last time, other writers' among them. */
  #scan(): void {
    const { size } = fstatSync(this.#descriptor);
    let pending = Buffer.alloc(0);
    let position = this.#scanned;
    while (position < size) {
      const chunk = this.#read(position, Math.min(CHUNK_BYTES, size - position));
      if (chunk.length === 0) break;
      position += chunk.length;
      pending = Buffer.concat([pending, chunk]);
      const end = pending.lastIndexOf(NEWLINE) + 1;
      this.#takeLines(pending.subarray(0, end));
      pending = pending.subarray(end);
    }
  }

  #takeLines(lines: Buffer): void {
    let start = 0;
    for (let end = lines.indexOf(NEWLINE); end >= 0; end = lines.indexOf(NEWLINE, start)) {
      if (end > start) this.#takeLine(lines.subarray(start, end), this.#scanned + start);
      start = end + 1;
    }
    this.#scanned += start;
  }

  #takeLine(line: Buffer, offset: number): void {
    const row = decodeRow(line);
    if (row === undefined) {
      this.#damaged++;
      return;
    }
    this.#checkOrigin(row);
    const key = keyOf(row);
    const known = this.#places.get(key);
    const failed = row.error !== undefined;
    if (known !== undefined && (!known.failed || failed)) return;
    this.#places.set(key, { offset, bytes: line.length, failed });
  }

  #checkOrigin({ provider, index }: CassetteRow): void {
    this.#origin ??= { provider, index };
    const { provider: tool, index: fingerprint } = this.#origin;
    if (provider === tool && index === fingerprint) return;
    throw new IntegrityError(
      `${this.path}: expected answers of one tool, received ${tool} (${fingerprint ?? 'no index'}) and ${provider} (${index ?? 'no index'}); record each into a file of its own.`,
    );
  }

  #read(offset: number, bytes: number): Buffer {
    const buffer = Buffer.alloc(bytes);
    const read = readSync(this.#descriptor, buffer, 0, bytes, offset);
    return buffer.subarray(0, read);
  }
}
