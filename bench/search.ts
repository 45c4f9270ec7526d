// Measures the BM25 index: build, open and query times on generated passages, as JSON lines.
//
// Usage: node bench/search.ts [--passages 200000] [--queries 1000] [--dump <folder>]
// --dump also writes the analysed passages and queries and our answers, for bench/peers/search_bm25s.py.
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Passage, RandomStream } from '../packages/core/src/index.ts';
import {
  analyzeEnglish,
  type Bm25Index,
  buildIndex,
  openIndex,
} from '../packages/search/src/index.ts';
import { passageOf, printRow, type Row } from './search-rows.ts';

/** 40 to 80 words, 60 on average. */
const PASSAGE_WORDS = { least: 40, range: 41 };
const VOCABULARY = 200_000;
/** Zipf-Mandelbrot offset of English. */
const ZIPF_OFFSET = 2.7;
const TOP_K = 10;

const { values } = parseArgs({
  options: {
    passages: { type: 'string', default: '200000' },
    queries: { type: 'string', default: '1000' },
    dump: { type: 'string' },
  },
});
const passageCount = Number(values.passages);
const queryCount = Number(values.queries);

/** Draws word ranks from Zipf's law. */
class ZipfWords {
  readonly #random: RandomStream;
  readonly #cumulative = new Float64Array(VOCABULARY);

  constructor(seed: number, name: string) {
    this.#random = new RandomStream(seed, name);
    let sum = 0;
    for (let i = 0; i < VOCABULARY; i++) this.#cumulative[i] = sum += 1 / (i + 1 + ZIPF_OFFSET);
  }

  text(length: number): string {
    return Array.from({ length }, () => `w${this.#rank().toString(36)}`).join(' ');
  }

  #rank(): number {
    const target = this.#random.uniform() * (this.#cumulative.at(-1) ?? 0);
    let low = 0;
    let high = VOCABULARY - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#cumulative[middle] ?? 0) < target) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function makePassages(): Passage[] {
  const words = new ZipfWords(1, 'passages');
  const lengths = new RandomStream(1, 'lengths');
  return Array.from({ length: passageCount }, (_, i) =>
    passageOf(i, words.text(PASSAGE_WORDS.least + lengths.below(PASSAGE_WORDS.range))),
  );
}

const print = (row: Row): void =>
  printRow({ ...row, passages: passageCount }, 'node bench/search.ts');

/** CPU seconds of this process since `start`, so that what other processes take is left out. */
const cpuSeconds = (start: NodeJS.CpuUsage): number => {
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1e6;
};
const quantile = (sorted: readonly number[], q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? NaN;

async function benchBuild(passages: readonly Passage[], folder: string): Promise<void> {
  let start = process.cpuUsage();
  let terms = 0;
  for (const { text } of passages) terms += analyzeEnglish(text).length;
  const floor = cpuSeconds(start);
  if (terms === 0) throw new Error('bench: expected terms, received none.');
  start = process.cpuUsage();
  await buildIndex(passages, folder);
  const floorIs = 'analysing every word anew, without the cache of stems that building has';
  print({ case: 'build', unit: 'CPU s', measured: cpuSeconds(start), floor, floorIs, limit: 30 });
}

function benchOpen(folder: string): void {
  const measured: number[] = [];
  const floors: number[] = [];
  for (let round = 0; round < 9; round++) {
    let start = performance.now();
    const index = openIndex(folder);
    measured.push(performance.now() - start);
    const sections = Object.values(index.header.sections);
    const bytes = sections.reduce((sum, section) => sum + section.bytes, 0);
    index.close();
    start = performance.now();
    const file = openSync(join(folder, 'arrays.bin'), 'r');
    readSync(file, new Uint8Array(bytes), 0, bytes, sections[0]?.offset ?? 0);
    closeSync(file);
    floors.push(performance.now() - start);
  }
  print({
    case: 'open, best of 9',
    unit: 'ms',
    measured: Math.min(...measured),
    floor: Math.min(...floors),
    floorIs: 'reading the arrays that stay in memory, unchecked',
    limit: 100,
  });
}

/**
 * Milliseconds of every query, and of reading as many passages as it returned, both sorted. The least of `repeats`,
 * so that what other processes take is left out.
 */
async function timeQueries(
  index: Bm25Index,
  queries: readonly string[],
  repeats: number,
): Promise<{ search: number[]; read: number[] }> {
  const search: number[] = [];
  const read: number[] = [];
  for (const [q, query] of queries.entries()) {
    let [searchMs, readMs] = [Infinity, Infinity];
    for (let repeat = 0; repeat < repeats; repeat++) {
      let start = performance.now();
      const results = await index.search({ query, topK: TOP_K });
      searchMs = Math.min(searchMs, performance.now() - start);
      start = performance.now();
      for (let i = 0; i < results.length; i++) index.passageAt((q * TOP_K + i) % index.size);
      readMs = Math.min(readMs, performance.now() - start);
    }
    search.push(searchMs);
    read.push(readMs);
  }
  search.sort((a, b) => a - b);
  read.sort((a, b) => a - b);
  return { search, read };
}

async function benchQueries(folder: string, queries: readonly string[]): Promise<void> {
  const index = openIndex(folder);
  for (const [state, repeats] of [
    ['asked once, lists not cached', 1],
    ['best of 3, lists cached', 3],
  ] as const) {
    const { search, read } = await timeQueries(index, queries, repeats);
    for (const [name, q, limit] of [
      ['p20', 0.2, 1],
      ['p50', 0.5, 1],
      ['p80', 0.8, 10],
      ['p99', 0.99, 10],
    ] as const) {
      print({
        case: `query ${name}, ${state}`,
        unit: 'ms',
        measured: quantile(search, q),
        floor: quantile(read, q),
        floorIs: 'reading as many passages as the query returned',
        limit,
      });
    }
  }
  index.close();
}

/** Terms of each passage and query, and the ordinals and scores of our answers, one line each. */
async function dump(
  folder: string,
  indexFolder: string,
  passages: readonly Passage[],
  queries: readonly string[],
): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const save = (name: string, lines: readonly string[]) =>
    writeFileSync(join(folder, name), `${lines.join('\n')}\n`);
  save(
    'passages.txt',
    passages.map(({ text }) => analyzeEnglish(text).join(' ')),
  );
  save(
    'queries.txt',
    queries.map((query) => analyzeEnglish(query).join(' ')),
  );
  const index = openIndex(indexFolder);
  const answers: string[] = [];
  for (const query of queries) {
    const results = await index.search({ query, topK: TOP_K });
    answers.push(JSON.stringify(results.map((r) => [Number(r.documentId.slice(1)), r.score])));
  }
  index.close();
  save('answers.jsonl', answers);
}

const folder = mkdtempSync(join(tmpdir(), 'masksearch-bench-'));
try {
  const passages = makePassages();
  const words = new ZipfWords(1, 'queries');
  const queries = Array.from({ length: queryCount }, (_, i) => words.text(3 + (i % 5)));
  const index = join(folder, 'index');
  await benchBuild(passages, index);
  benchOpen(index);
  await benchQueries(index, queries);
  const [arrays = 0, texts = 0] = ['arrays.bin', 'passages.jsonl'].map(
    (name) => statSync(join(index, name)).size,
  );
  const floorIs = 'the passages themselves';
  print({ case: 'size on disk', unit: 'bytes', measured: arrays + texts, floor: texts, floorIs });
  if (values.dump) await dump(values.dump, index, passages, queries);
} finally {
  rmSync(folder, { recursive: true });
}
