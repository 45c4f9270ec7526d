// Inverts (passage, term) pairs into posting lists with bounded memory: sorted runs, merged at the end.
import type { ByteFile } from './byte-file.ts';
import { growableUint32 } from './growable.ts';

/** One term's passages in corpus order, with how often it occurs in each. */
export interface PostingList {
  readonly term: number;
  readonly passages: Uint32Array;
  readonly frequencies: Uint32Array;
}

const READ_WINDOW_BYTES = 1 << 18;

/** Postings arrive passage by passage, in corpus order, and leave term by term. */
export class PostingRuns {
  readonly #terms = growableUint32();
  readonly #passages = growableUint32();
  readonly #frequencies = growableUint32();
  readonly #capacity: number;
  readonly #openScratch: (run: number) => ByteFile;
  readonly #runs: ByteFile[] = [];

  /** @param capacity Postings held in memory before a run is written (24 bytes each at the peak). */
  constructor(capacity: number, openScratch: (run: number) => ByteFile) {
    this.#capacity = capacity;
    this.#openScratch = openScratch;
  }

  add(term: number, passage: number, frequency: number): void {
    if (this.#terms.length === this.#capacity) this.#writeRun();
    this.#terms.push(term);
    this.#passages.push(passage);
    this.#frequencies.push(frequency);
  }

  /** The lists of terms 0, 1, 2, … `termCount` - 1. Call once, after the last `add`. */
  *merge(termCount: number): Generator<PostingList> {
    if (this.#terms.length > 0) this.#writeRun();
    const readers = this.#runs.map((run) => new RunReader(run));
    for (let term = 0; term < termCount; term++) {
      const parts = readers.filter((reader) => reader.nextTerm === term).map((r) => r.take());
      yield { term, passages: join(parts, 'passages'), frequencies: join(parts, 'frequencies') };
    }
  }

  close(): void {
    for (const run of this.#runs) run.close();
  }

  /** Counting sort by term; passages stay in order within a term. */
  #writeRun(): void {
    const terms = this.#terms.view();
    const unsortedPassages = this.#passages.view();
    const unsortedFrequencies = this.#frequencies.view();
    const termCount = terms.reduce((most, term) => Math.max(most, term), 0) + 1;
    const starts = new Uint32Array(termCount + 1);
    for (const term of terms) starts[term + 1] = (starts[term + 1] as number) + 1;
    for (let t = 0; t < termCount; t++) {
      starts[t + 1] = (starts[t + 1] as number) + (starts[t] as number);
    }
    const passages = new Uint32Array(terms.length);
    const frequencies = new Uint32Array(terms.length);
    const next = starts.slice();
    for (let i = 0; i < terms.length; i++) {
      const term = terms[i] as number;
      const position = next[term] as number;
      next[term] = position + 1;
      passages[position] = unsortedPassages[i] as number;
      frequencies[position] = unsortedFrequencies[i] as number;
    }
    const file = this.#openScratch(this.#runs.length);
    this.#runs.push(file);
    for (let term = 0; term < termCount; term++) {
      const [from, to] = [starts[term] as number, starts[term + 1] as number];
      if (from === to) continue;
      file.append(bytesOf(Uint32Array.of(term, to - from)));
      file.append(bytesOf(passages.subarray(from, to)));
      file.append(bytesOf(frequencies.subarray(from, to)));
    }
    for (const array of [this.#terms, this.#passages, this.#frequencies]) array.clear();
  }
}

/** Reads one run's lists in term order through a window. */
class RunReader {
  readonly #file: ByteFile;
  #windowStart = 0;
  #window: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #position = 0;
  #count = 0;
  /** Term of the list that `take` returns next; -1 at the end. */
  nextTerm = -1;

  constructor(file: ByteFile) {
    this.#file = file;
    this.#readHeader();
  }

  take(): Omit<PostingList, 'term'> {
    const passages = this.#uint32(this.#count);
    const frequencies = this.#uint32(this.#count);
    this.#readHeader();
    return { passages, frequencies };
  }

  #readHeader(): void {
    if (this.#position === this.#file.size) {
      this.nextTerm = -1;
      return;
    }
    const header = this.#uint32(2);
    this.nextTerm = header[0] as number;
    this.#count = header[1] as number;
  }

  #uint32(count: number): Uint32Array {
    const length = count * 4;
    const end = this.#windowStart + this.#window.length;
    if (this.#position + length > end) {
      const wanted = Math.max(length, READ_WINDOW_BYTES);
      this.#windowStart = this.#position;
      this.#window = this.#file.read(
        this.#position,
        Math.min(wanted, this.#file.size - this.#position),
      );
    }
    const start = this.#position - this.#windowStart;
    this.#position += length;
    return new Uint32Array(this.#window.buffer, start, count);
  }
}

function join(
  parts: readonly Omit<PostingList, 'term'>[],
  key: 'passages' | 'frequencies',
): Uint32Array {
  const only = parts[0];
  if (parts.length === 1 && only) return only[key];
  const result = new Uint32Array(parts.reduce((sum, part) => sum + part[key].length, 0));
  let offset = 0;
  for (const part of parts) {
    result.set(part[key], offset);
    offset += part[key].length;
  }
  return result;
}

/** The bytes of a typed array, without a copy. */
export function bytesOf(array: Uint8Array | Uint32Array | Float64Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
