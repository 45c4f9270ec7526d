// Streams passages into a BM25 index, on disk or in memory, with bounded memory and the same bytes every time.
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import {
  InputError,
  type Passage,
  passageSchema,
  parseRecord,
  writeFileAtomic,
  writeFolderAtomic,
} from '@masksearch/core';
import { type Bm25Parameters, checkBm25Parameters, DEFAULT_BM25, lengthNorm } from './bm25.ts';
import { Bm25Index } from './bm25-index.ts';
import { type ByteFile, DiskFile, MemoryFile } from './byte-file.ts';
import { ANALYSIS_NAME, termOfWord } from './english-analysis.ts';
import { growableBytes, growableFloat64, growableUint32 } from './growable.ts';
import {
  alignFile,
  appendSection,
  ARRAYS_FILE,
  encodeHeader,
  HEADER_FILE,
  INDEX_FORMAT,
  INDEX_VERSION,
  type IndexHeader,
  PASSAGES_FILE,
  requireLittleEndian,
} from './index-format.ts';
import { bytesOf, type PostingList, PostingRuns } from './posting-runs.ts';
import { StringTableBuilder } from './string-table.ts';
import { unicodeWords } from './unicode-words.ts';

export interface BuildOptions extends Partial<Bm25Parameters> {
  /** Postings held in memory before they are spilled (default 4 Mi, 24 bytes each); changes no byte of the result. */
  readonly postingsPerRun?: number;
}

type Passages = AsyncIterable<Passage> | Iterable<Passage>;

/** Words remembered with their terms; text repeats its words, so most need no stemming. */
const WORD_CACHE_SIZE = 1 << 19;
const DEFAULT_POSTINGS_PER_RUN = 1 << 22;
const STOP_WORD = -1;

/**
 * Builds the index of `passages` (title and text) in `folder`, replacing an older one in one rename.
 *
 * @throws {InputError} a passage is malformed, two have one id, or `folder` holds something that is not an index.
 * @throws {ConfigError} k1 or b is out of range.
 */
export async function buildIndex(
  passages: Passages,
  folder: string,
  options: BuildOptions = {},
): Promise<void> {
  if (existsSync(folder) && !existsSync(join(folder, HEADER_FILE))) {
    throw new InputError(
      `buildIndex: expected ${folder} to be absent or an index to replace, received something else.`,
      { data: { folder } },
    );
  }
  await writeFolderAtomic(folder, async (temporary) => {
    const arrays = new DiskFile(join(temporary, ARRAYS_FILE), 'create');
    const texts = new DiskFile(join(temporary, PASSAGES_FILE), 'create');
    const scratchPaths: string[] = [];
    const builder = new IndexBuilder(arrays, texts, options, (run) => {
      const path = join(temporary, `run-${run}`);
      scratchPaths.push(path);
      return new DiskFile(path, 'create');
    });
    try {
      for await (const passage of passages) builder.add(passage);
      const header = builder.finish();
      arrays.sync();
      texts.sync();
      writeFileAtomic(join(temporary, HEADER_FILE), encodeHeader(header));
    } finally {
      builder.close();
      arrays.close();
      texts.close();
      for (const path of scratchPaths) rmSync(path);
    }
  });
}

/** The same index without a file. @throws as `buildIndex`. */
export async function buildIndexInMemory(
  passages: Passages,
  options: BuildOptions = {},
): Promise<Bm25Index> {
  const arrays = new MemoryFile(`memory/${ARRAYS_FILE}`);
  const texts = new MemoryFile(`memory/${PASSAGES_FILE}`);
  const builder = new IndexBuilder(arrays, texts, options, (run) => new MemoryFile(`run-${run}`));
  try {
    for await (const passage of passages) builder.add(passage);
    return new Bm25Index(builder.finish(), arrays, texts);
  } finally {
    builder.close();
  }
}

class IndexBuilder {
  readonly #arrays: ByteFile;
  readonly #texts: ByteFile;
  readonly #parameters: Bm25Parameters;
  readonly #runs: PostingRuns;
  readonly #ids = new StringTableBuilder();
  readonly #terms = new StringTableBuilder();
  readonly #termOfWord = new Map<string, number>();
  readonly #passageLengths = growableUint32();
  readonly #passageOffsets = growableFloat64();
  readonly #passageChecksums = growableUint32();
  #totalLength = 0;

  constructor(
    arrays: ByteFile,
    texts: ByteFile,
    options: BuildOptions,
    openScratch: (run: number) => ByteFile,
  ) {
    requireLittleEndian();
    this.#arrays = arrays;
    this.#texts = texts;
    this.#parameters = { k1: options.k1 ?? DEFAULT_BM25.k1, b: options.b ?? DEFAULT_BM25.b };
    checkBm25Parameters(this.#parameters);
    this.#runs = new PostingRuns(options.postingsPerRun ?? DEFAULT_POSTINGS_PER_RUN, openScratch);
    this.#passageOffsets.push(0);
  }

  add(passage: Passage): void {
    const ordinal = this.#ids.size;
    parseRecord(passageSchema, passage, `buildIndex: passage ${ordinal}`);
    const first = this.#ids.add(passage.id);
    if (first !== ordinal) {
      throw new InputError(
        `buildIndex: expected distinct passage ids, received ${JSON.stringify(passage.id)} for passages ${first} and ${ordinal}.`,
        { data: { id: passage.id, first, second: ordinal } },
      );
    }
    const line = Buffer.from(`${JSON.stringify(passage)}\n`, 'utf8');
    this.#texts.append(line);
    this.#passageOffsets.push(this.#texts.size);
    this.#passageChecksums.push(crc32(line));
    this.#addPostings(ordinal, `${passage.title}\n${passage.text}`);
  }

  finish(): IndexHeader {
    const { k1, b } = this.#parameters;
    const lists = this.#appendPostings();
    const append = (array: Uint8Array | Uint32Array | Float64Array) =>
      appendSection(this.#arrays, array);
    const ids = this.#ids.arrays();
    const terms = this.#terms.arrays();
    const sections = {
      passageLengths: append(this.#passageLengths.view()),
      passageOffsets: append(this.#passageOffsets.view()),
      passageChecksums: append(this.#passageChecksums.view()),
      idText: append(ids.text),
      idOffsets: append(ids.offsets),
      idSlots: append(ids.slots),
      termText: append(terms.text),
      termOffsets: append(terms.offsets),
      termSlots: append(terms.slots),
      postingOffsets: append(lists.offsets.view()),
      postingCounts: append(lists.counts.view()),
      postingWidths: append(lists.widths.view()),
      postingChecksums: append(lists.checksums.view()),
      postingBounds: append(lists.bounds.view()),
    };
    return {
      format: INDEX_FORMAT,
      version: INDEX_VERSION,
      analysis: ANALYSIS_NAME,
      k1,
      b,
      passages: this.#ids.size,
      terms: this.#terms.size,
      totalLength: this.#totalLength,
      arraysBytes: this.#arrays.size,
      passagesBytes: this.#texts.size,
      sections,
    };
  }

  close(): void {
    this.#runs.close();
  }

  #addPostings(ordinal: number, text: string): void {
    const frequencies = new Map<number, number>();
    let length = 0;
    for (const word of unicodeWords(text)) {
      const term = this.#term(word);
      if (term === STOP_WORD) continue;
      frequencies.set(term, (frequencies.get(term) ?? 0) + 1);
      length++;
    }
    for (const [term, frequency] of frequencies) this.#runs.add(term, ordinal, frequency);
    this.#passageLengths.push(length);
    this.#totalLength += length;
  }

  #term(word: string): number {
    const known = this.#termOfWord.get(word);
    if (known !== undefined) return known;
    const value = termOfWord(word);
    const term = value === undefined ? STOP_WORD : this.#terms.add(value);
    if (this.#termOfWord.size >= WORD_CACHE_SIZE) this.#termOfWord.clear();
    this.#termOfWord.set(word, term);
    return term;
  }

  /** Writes the lists, each 8-byte aligned: passages u32[], then frequencies u8[] or u32[]. */
  #appendPostings() {
    const lists = {
      offsets: growableFloat64(),
      counts: growableUint32(),
      widths: growableBytes(),
      checksums: growableUint32(),
      bounds: growableFloat64(),
    };
    const lengths = this.#passageLengths.view();
    const averageLength = this.#totalLength / lengths.length;
    const norms = Float64Array.from(lengths, (length) =>
      lengthNorm(this.#parameters, length, averageLength),
    );
    for (const list of this.#runs.merge(this.#terms.size)) {
      const { mostFrequent, bound } = extremes(list, norms);
      const narrow = mostFrequent < 256;
      const passages = bytesOf(list.passages);
      const frequencies = narrow ? Uint8Array.from(list.frequencies) : bytesOf(list.frequencies);
      alignFile(this.#arrays);
      lists.offsets.push(this.#arrays.size);
      lists.counts.push(list.passages.length);
      lists.widths.push(narrow ? 1 : 4);
      lists.checksums.push(crc32(frequencies, crc32(passages)));
      lists.bounds.push(bound);
      this.#arrays.append(passages);
      this.#arrays.append(frequencies);
    }
    return lists;
  }
}

/** The largest frequency of a list, and the largest frequency / (frequency + norm). */
function extremes(
  { passages, frequencies }: PostingList,
  norms: Float64Array,
): { mostFrequent: number; bound: number } {
  let mostFrequent = 0;
  let bound = 0;
  for (let i = 0; i < passages.length; i++) {
    const frequency = frequencies[i] as number;
    const saturation = frequency / (frequency + (norms[passages[i] as number] as number));
    if (frequency > mostFrequent) mostFrequent = frequency;
    if (saturation > bound) bound = saturation;
  }
  return { mostFrequent, bound };
}
