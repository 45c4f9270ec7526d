// Posting lists read when a query first needs them, the most recently used ones kept.
import { crc32 } from 'node:zlib';
import type { ByteFile } from './byte-file.ts';
import { checksumError } from './index-format.ts';

export interface Postings {
  readonly passages: Uint32Array;
  readonly frequencies: Uint8Array | Uint32Array;
}

/** One entry per term; see index-format.ts. */
export interface PostingDirectory {
  readonly offsets: Float64Array;
  readonly counts: Uint32Array;
  readonly widths: Uint8Array;
  readonly checksums: Uint32Array;
}

const DEFAULT_CAPACITY_BYTES = 256 * 2 ** 20;

export class PostingCache {
  readonly #file: ByteFile;
  readonly #directory: PostingDirectory;
  readonly #capacityBytes: number;
  /** Least recently used first. */
  readonly #lists = new Map<number, Postings>();
  #bytes = 0;

  constructor(file: ByteFile, directory: PostingDirectory, capacityBytes = DEFAULT_CAPACITY_BYTES) {
    this.#file = file;
    this.#directory = directory;
    this.#capacityBytes = capacityBytes;
  }

  /** @throws {IntegrityError} the list does not match its checksum. */
  get(term: number): Postings {
    const cached = this.#lists.get(term);
    const postings = cached ?? this.#read(term);
    if (cached) this.#lists.delete(term);
    else this.#bytes += sizeOf(postings);
    this.#lists.set(term, postings);
    this.#evict();
    return postings;
  }

  clear(): void {
    this.#lists.clear();
    this.#bytes = 0;
  }

  #read(term: number): Postings {
    const count = this.#directory.counts[term] as number;
    const width = this.#directory.widths[term] as number;
    const bytes = this.#file.read(this.#directory.offsets[term] as number, count * (4 + width));
    if (crc32(bytes) !== this.#directory.checksums[term]) {
      throw checksumError(this.#file.name, `the posting list of term ${term}`);
    }
    const split = count * 4;
    return {
      passages: new Uint32Array(bytes.buffer, 0, count),
      frequencies:
        width === 1
          ? new Uint8Array(bytes.buffer, split, count)
          : new Uint32Array(bytes.buffer, split, count),
    };
  }

  #evict(): void {
    for (const [term, postings] of this.#lists) {
      if (this.#bytes <= this.#capacityBytes || this.#lists.size === 1) return;
      this.#lists.delete(term);
      this.#bytes -= sizeOf(postings);
    }
  }
}

function sizeOf({ passages, frequencies }: Postings): number {
  return passages.byteLength + frequencies.byteLength;
}
