// The index folder: same bytes every time, opened by many, damaged ones refused, never half written.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ConfigError,
  InputError,
  IntegrityError,
  MaskSearchError,
  type Passage,
  RandomStream,
} from '@masksearch/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openIndex } from './bm25-index.ts';
import { buildIndex, buildIndexInMemory } from './index-builder.ts';
import { passagesOf } from './testing.ts';

const FILES = ['header.json', 'arrays.bin', 'passages.jsonl'];
const QUERIES = ['w0', 'w1 w2 w3', 'w4 w0 w11', 'w7 w8 w7'];

const random = new RandomStream(11, 'index-files');
const passages = passagesOf(
  Array.from({ length: 50 }, () =>
    Array.from({ length: random.below(20) }, () => `w${random.below(1 + random.below(30))}`).join(
      ' ',
    ),
  ),
);
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'masksearch-index-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function bytesIn(path: string): Buffer[] {
  return FILES.map((file) => readFileSync(join(path, file)));
}

/** Everything that can be read from an index. */
async function readAll(path: string) {
  const index = openIndex(path);
  try {
    const answers = [];
    for (const query of QUERIES) answers.push(await index.search({ query, topK: 60 }));
    const texts = passages.map((passage, i) => [index.passageAt(i), index.passage(passage.id)]);
    return { answers, texts };
  } finally {
    index.close();
  }
}

describe('an index folder', () => {
  it('answers as the index in memory does, also when opened twice', async () => {
    const path = join(folder, 'same');
    await buildIndex(passages, path);
    const memory = await buildIndexInMemory(passages);
    const [one, two] = [openIndex(path), openIndex(path)];
    for (const query of QUERIES) {
      const expected = await memory.search({ query, topK: 7 });
      expect(await one.search({ query, topK: 7 })).toEqual(expected);
      expect(await two.search({ query, topK: 7 })).toEqual(expected);
    }
    one.close();
    expect(await two.search({ query: 'w0', topK: 1 })).toHaveLength(1);
    two.close();
    expect(readdirSync(path).sort()).toEqual([...FILES].sort());
  });

  it('has the same bytes however often postings were spilled', async () => {
    const [once, often] = [join(folder, 'once'), join(folder, 'often')];
    await buildIndex(passages, once);
    await buildIndex(passages, often, { postingsPerRun: 7 });
    expect(bytesIn(often)).toEqual(bytesIn(once));
  });

  it('counts more than 255 occurrences of a word', async () => {
    const path = join(folder, 'many');
    const texts = passagesOf(['fox '.repeat(70_000), 'fox', 'fox '.repeat(300)]);
    await buildIndex(texts, path);
    const index = openIndex(path);
    const memory = await buildIndexInMemory(texts);
    const results = await index.search({ query: 'fox', topK: 3 });
    expect(results).toEqual(await memory.search({ query: 'fox', topK: 3 }));
    // tf / (tf + norm) with b = 0 does not depend on lengths, so more occurrences rank higher.
    const flat = await buildIndexInMemory(texts, { b: 0 });
    expect((await flat.search({ query: 'fox', topK: 3 })).map((r) => r.id)).toEqual([
      'p0',
      'p2',
      'p1',
    ]);
    index.close();
  });

  it('refuses every damaged byte it depends on (seed 12)', { timeout: 60_000 }, async () => {
    const path = join(folder, 'damaged');
    await buildIndex(passages, path);
    const intact = await readAll(path);
    const draw = new RandomStream(12, 'damage');
    let refused = 0;
    for (let round = 0; round < 300; round++) {
      const file = join(path, FILES[round % 3]!);
      const bytes = readFileSync(file);
      const changed = Buffer.from(bytes);
      const at = draw.below(bytes.length);
      changed[at] = changed[at]! ^ (1 + draw.below(255));
      writeFileSync(file, changed);
      try {
        expect(await readAll(path)).toEqual(intact); // padding and white space may change
      } catch (error) {
        if (!(error instanceof IntegrityError)) throw error;
        refused++;
      }
      writeFileSync(file, bytes);
    }
    expect(refused).toBeGreaterThan(270);
  });

  it('refuses files that are cut off, grown or absent', async () => {
    const path = join(folder, 'cut');
    await buildIndex(passages, path);
    for (const name of FILES) {
      const file = join(path, name);
      const bytes = readFileSync(file);
      for (const length of [0, 1, bytes.length >> 1, bytes.length - 2]) {
        writeFileSync(file, bytes.subarray(0, length));
        expect(() => openIndex(path)).toThrow(IntegrityError);
      }
      writeFileSync(file, Buffer.concat([bytes, Buffer.from('x')]));
      expect(() => openIndex(path)).toThrow(IntegrityError);
      rmSync(file);
      expect(() => openIndex(path)).toThrow(MaskSearchError);
      writeFileSync(file, bytes);
    }
    openIndex(path).close();
    expect(() => openIndex(join(folder, 'nowhere'))).toThrow(InputError);
  });

  it('leaves the old index and nothing else when building fails', async () => {
    const path = join(folder, 'kept');
    await buildIndex(passages, path);
    const before = bytesIn(path);
    const twice = [...passages, { ...passages[3]!, text: 'other' }];
    await expect(buildIndex(twice, path)).rejects.toThrow(/distinct passage ids.*"p3".*3 and 50/);
    const malformed = [{ ...passages[0]!, start: -1 }];
    await expect(buildIndex(malformed, path)).rejects.toThrow(/passage 0: start/);
    async function* failing(): AsyncGenerator<Passage> {
      yield passages[0]!;
      throw new InputError('the source failed');
    }
    await expect(buildIndex(failing(), path, { postingsPerRun: 1 })).rejects.toThrow(
      'the source failed',
    );
    await expect(buildIndex(passages, path, { k1: -1 })).rejects.toThrow(ConfigError);
    await expect(buildIndex(passages, path, { b: 1.1 })).rejects.toThrow(ConfigError);
    expect(bytesIn(path)).toEqual(before);
    expect(readdirSync(folder).filter((name) => name.startsWith('kept'))).toEqual(['kept']);
  });

  it('does not replace a folder that is not an index', async () => {
    const path = join(folder, 'mine');
    mkdirSync(path);
    writeFileSync(join(path, 'thesis.txt'), 'years of work');
    await expect(buildIndex(passages, path)).rejects.toThrow(InputError);
    expect(readdirSync(path)).toEqual(['thesis.txt']);
  });
});
