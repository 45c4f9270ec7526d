// An opened BM25 index: a SearchTool whose dictionary is in memory and whose postings and texts are read when needed.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import {
  IntegrityError,
  InputError,
  type Passage,
  passageSchema,
  parseRecord,
  type SearchResult,
  withDeadline,
} from '@masksearch/core';
import { type CorpusStatistics, checkStatistics, frequencyIn } from './corpus-statistics.ts';
import { inverseDocumentFrequency, lengthNorm } from './bm25.ts';
import { type ByteFile, DiskFile } from './byte-file.ts';
import { ANALYSIS_NAME, analyzeEnglish } from './english-analysis.ts';
import {
  ARRAYS_FILE,
  checksumError,
  decodeHeader,
  HEADER_FILE,
  type IndexHeader,
  PASSAGES_FILE,
  readSection,
  requireLittleEndian,
  type SectionName,
} from './index-format.ts';
import { PostingCache } from './posting-cache.ts';
import { type QueryTerm, QueryScorer } from './query-scorer.ts';
import { checkSearchRequest } from './search-request.ts';
import type { SearchOptions, SearchRequest, SearchTool } from './search-tool.ts';
import { StringTable } from './string-table.ts';

/**
 * Opens the index in `folder`. Any number of processes may have it open.
 *
 * @throws {InputError} `folder` is not an index.
 * @throws {IntegrityError} it is damaged, cut off, or of another version or analysis.
 */
export function openIndex(folder: string): Bm25Index {
  const headerPath = join(folder, HEADER_FILE);
  if (!existsSync(headerPath)) {
    throw new InputError(
      `openIndex: expected a search index in ${folder}, found no ${HEADER_FILE}.`,
    );
  }
  const header = decodeHeader(readFileSync(headerPath, 'utf8'), headerPath);
  const arrays = openFile(join(folder, ARRAYS_FILE), header.arraysBytes);
  try {
    return new Bm25Index(
      header,
      arrays,
      openFile(join(folder, PASSAGES_FILE), header.passagesBytes),
    );
  } catch (error) {
    arrays.close();
    throw error;
  }
}

function openFile(path: string, bytes: number): DiskFile {
  if (!existsSync(path)) {
    throw new IntegrityError(`openIndex: expected ${path}, found none; build the index again.`);
  }
  const file = new DiskFile(path, 'read');
  if (file.size === bytes) return file;
  file.close();
  throw new IntegrityError(
    `openIndex: expected ${path} to have ${bytes} bytes, received ${file.size}; build the index again.`,
    { data: { file: path, expected: bytes } },
  );
}

/** Made by `openIndex` and `buildIndexInMemory`. */
export class Bm25Index implements SearchTool {
  readonly provider = 'bm25';
  readonly header: IndexHeader;
  /** sha256 of the header, which holds the checksums of everything else. */
  readonly fingerprint: string;
  readonly #texts: ByteFile;
  readonly #arrays: ByteFile;
  readonly #ids: StringTable;
  readonly #terms: StringTable;
  readonly #passageOffsets: Float64Array;
  readonly #passageChecksums: Uint32Array;
  readonly #postingBounds: Float64Array;
  readonly #postings: PostingCache;
  readonly #passageLengths: Uint32Array;
  readonly #scorer: QueryScorer;
  /** For the average length of a whole corpus that this index is a part of. */
  #partScorer: { readonly averageLength: number; readonly scorer: QueryScorer } | undefined;

  constructor(header: IndexHeader, arrays: ByteFile, texts: ByteFile) {
    requireLittleEndian();
    if (header.analysis !== ANALYSIS_NAME) {
      throw new IntegrityError(
        `${arrays.name}: expected analysis ${ANALYSIS_NAME}, received ${header.analysis}; build the index again.`,
      );
    }
    this.header = header;
    this.fingerprint = createHash('sha256').update(JSON.stringify(header)).digest('hex');
    this.#arrays = arrays;
    this.#texts = texts;
    const bytes = (name: SectionName) => readSection(arrays, header.sections[name], name);
    const uint32 = (name: SectionName) => new Uint32Array(bytes(name).buffer);
    const float64 = (name: SectionName) => new Float64Array(bytes(name).buffer);
    this.#ids = new StringTable({
      text: bytes('idText'),
      offsets: uint32('idOffsets'),
      slots: uint32('idSlots'),
    });
    this.#terms = new StringTable({
      text: bytes('termText'),
      offsets: uint32('termOffsets'),
      slots: uint32('termSlots'),
    });
    this.#passageOffsets = float64('passageOffsets');
    this.#passageChecksums = uint32('passageChecksums');
    this.#postingBounds = float64('postingBounds');
    this.#postings = new PostingCache(arrays, {
      offsets: float64('postingOffsets'),
      counts: uint32('postingCounts'),
      widths: bytes('postingWidths'),
      checksums: uint32('postingChecksums'),
    });
    this.#passageLengths = uint32('passageLengths');
    this.#scorer = this.#scorerFor(this.#averageLength);
  }

  /** Number of passages. */
  get size(): number {
    return this.header.passages;
  }

  /**
   * The passage at a position of the corpus.
   * @throws {InputError} there is none.
   * @throws {IntegrityError} it does not match its checksum.
   */
  passageAt(ordinal: number): Passage {
    const start = this.#passageOffsets[ordinal];
    const end = this.#passageOffsets[ordinal + 1];
    if (start === undefined || end === undefined) {
      throw new InputError(
        `passageAt: expected an ordinal in 0..${this.size - 1}, received ${ordinal}.`,
      );
    }
    const line = this.#texts.read(start, end - start);
    const what = `passage ${ordinal}`;
    if (crc32(line) !== this.#passageChecksums[ordinal])
      throw checksumError(this.#texts.name, what);
    return parseRecord(passageSchema, JSON.parse(new TextDecoder().decode(line)), what);
  }

  /** The passage of that id, or undefined. @throws {IntegrityError} as `passageAt`. */
  passage(id: string): Passage | undefined {
    const ordinal = this.#ids.find(id);
    return ordinal < 0 ? undefined : this.passageAt(ordinal);
  }

  async search(request: SearchRequest, options: SearchOptions = {}): Promise<SearchResult[]> {
    checkSearchRequest(request);
    return withDeadline('Bm25Index.search', options, async () => this.#search(request));
  }

  /**
   * As `search`, with the scores that the passages have in a larger corpus of which this index is a part.
   * @throws {InputError} the statistics cannot be those of a corpus that holds this index.
   */
  async searchAsPart(
    request: SearchRequest,
    statistics: CorpusStatistics,
    options: SearchOptions = {},
  ): Promise<SearchResult[]> {
    checkSearchRequest(request);
    checkStatistics(statistics, this.header);
    return withDeadline('Bm25Index.searchAsPart', options, async () =>
      this.#search(request, statistics),
    );
  }

  /** How many passages hold each term, as `analyzeEnglish` writes it. */
  documentFrequencies(terms: readonly string[]): number[] {
    return terms.map((value) => {
      const term = this.#terms.find(value);
      return term < 0 ? 0 : this.#postings.get(term).passages.length;
    });
  }

  /** Lets go of the files; later searches fail with an UnavailableError. */
  close(): void {
    this.#postings.clear();
    this.#arrays.close();
    this.#texts.close();
  }

  get #averageLength(): number {
    return this.header.totalLength / this.header.passages;
  }

  #scorerFor(averageLength: number): QueryScorer {
    const norm = (length: number): number => lengthNorm(this.header, length, averageLength);
    return new QueryScorer(Float64Array.from(this.#passageLengths, norm));
  }

  /** Statistics of a corpus do not change, so one scorer beside the index's own is enough. */
  #scorerForPart(averageLength: number): QueryScorer {
    if (averageLength === this.#averageLength) return this.#scorer;
    if (this.#partScorer?.averageLength !== averageLength) {
      this.#partScorer = { averageLength, scorer: this.#scorerFor(averageLength) };
    }
    return this.#partScorer.scorer;
  }

  #search({ query, topK, exclude }: SearchRequest, corpus?: CorpusStatistics): SearchResult[] {
    const terms = this.#queryTerms(query, corpus);
    const scorer =
      corpus === undefined
        ? this.#scorer
        : this.#scorerForPart(corpus.totalLength / corpus.passages);
    const hits = scorer.top(terms, topK + (exclude?.size ?? 0));
    const results: SearchResult[] = [];
    for (const { ordinal, score } of hits) {
      if (results.length === topK) break;
      if (exclude?.has(this.#ids.at(ordinal))) continue;
      const { id, documentId, title, text } = this.passageAt(ordinal);
      results.push({ id, documentId, title, text, score });
    }
    return results;
  }

  #queryTerms(query: string, corpus: CorpusStatistics | undefined): QueryTerm[] {
    const counts = new Map<string, number>();
    for (const value of analyzeEnglish(query)) counts.set(value, (counts.get(value) ?? 0) + 1);
    const passages = corpus?.passages ?? this.size;
    const boundFactor = corpus === undefined ? 1 : this.#boundFactor(corpus);
    return [...counts].flatMap(([value, count]) => {
      const term = this.#terms.find(value);
      if (term < 0) return [];
      const postings = this.#postings.get(term);
      const held = postings.passages.length;
      const documentFrequency =
        corpus === undefined ? held : frequencyIn(corpus, value, { atLeast: held });
      const weight = count * inverseDocumentFrequency(passages, documentFrequency);
      const most = Math.min(1, (this.#postingBounds[term] as number) * boundFactor);
      return [{ ...postings, documentFrequency, weight, bound: weight * most }];
    });
  }

  /**
   * The bounds of the postings were taken with this index's average length. With a larger one norms shrink, at most by
   * the ratio of the two, and what a term adds grows at most by its inverse.
   */
  #boundFactor({ totalLength, passages }: CorpusStatistics): number {
    return Math.max(1, totalLength / passages / this.#averageLength);
  }
}
