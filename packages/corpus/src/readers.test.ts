// JSONL, text and Parquet readers, the choice between them, and files that are damaged.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { documentSchema, InputError, RandomStream } from '@masksearch/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readJsonlDocuments } from './jsonl-documents.ts';
import { readParquet } from './parquet-documents.ts';
import { detectFormat, readCorpus } from './read-corpus.ts';
import { collect, DATA, documentOf, needs } from './testing.ts';
import { readText } from './text-documents.ts';
import { titlesOf } from './titles.ts';

const FIXTURES = fileURLToPath(new URL('../fixtures/', import.meta.url));
let folder: string;
let counter = 0;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'masksearch-readers-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function save(name: string, content: string | Uint8Array): string {
  const path = join(folder, `${counter++}-${name}`);
  writeFileSync(path, content);
  return path;
}

const read = (path: string) => collect((options) => readCorpus(path, options));

describe('readJsonlDocuments', () => {
  const lines = (...values: unknown[]) => values.map((v) => JSON.stringify(v)).join('\n');

  it('reads our records, Search-R1 rows and id/title/text rows', async () => {
    const record = { ...documentOf('A b.'), aliases: ['X'] };
    const path = save(
      'mixed.jsonl',
      lines(
        record,
        { id: '0', contents: '"A "quoted" title"\nBody.\nMore.' },
        { id: 7, contents: 'No title' },
        { id: '1', title: 'T', text: 'Text.', url: 'x' },
        { id: '2', text: '  ' },
      ),
    );
    const { documents, skipped } = await collect((options) => readJsonlDocuments(path, options));
    expect(documents[0]).toEqual(record);
    expect(documents.slice(1).map((d) => [d.id, d.title, d.text])).toEqual([
      ['0', 'A "quoted" title', 'Body.\nMore.'],
      ['7', '', 'No title'],
      ['1', 'T', 'Text.'],
    ]);
    expect(skipped).toEqual({ empty: 1 });
    documents.forEach((document) => documentSchema.parse(document));
  });

  it.each([
    ['not json', /:2: expected one JSON object, received "not json"/],
    ['[1]', /:2: expected a Document record/],
    ['null', /:2: .*no object with keys/],
    ['{"id":"1"}', /:2: .*received the keys id/],
    ['{"id":{},"contents":"x"}', /:2: id/],
    ['{"id":"1","text":5}', /:2: text/],
    ['{"version":2,"id":"1"}', /:2: version/],
    [
      lines({
        ...documentOf('Abc'),
        spans: [{ start: 0, end: 2, text: 'bc', kind: 'x', aliases: [] }],
      }),
      /:2: expected the span \[0, 2\) to be "bc", received "Ab"/,
    ],
  ])('refuses the line %j', async (line, message) => {
    const path = save('bad.jsonl', `${lines({ id: '1', text: 'Fine.' })}\n${line}\n`);
    const error: unknown = await read(path).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(InputError);
    expect(String(error)).toMatch(message);
    expect(String(error)).toContain(path);
  });

  it('reads lines cut anywhere by chunks, CRLF, gzip, and no last line break', async () => {
    const long = 'é😀x'.repeat(60_000);
    const rows = lines({ id: 1, text: long }, { id: 2, text: 'b' }).replace('\n', '\r\n\r\n');
    for (const path of [save('a.jsonl', rows), save('a.jsonl.gz', gzipSync(rows))]) {
      const { documents } = await read(path);
      expect(documents.map((d) => d.text)).toEqual([long, 'b']);
    }
  });

  const { missing, note } = needs('wiki/search-r1-corpus.jsonl');
  it.skipIf(missing)(`reads the Search-R1 corpus sample${note}`, async () => {
    const { documents } = await read(join(DATA, 'wiki/search-r1-corpus.jsonl'));
    expect(documents).toHaveLength(10);
    expect(documents[0]?.title).toBe('Evan Morris');
  });
});

describe('readText', () => {
  it('reads blocks between blank lines, or the whole file', async () => {
    const path = save('notes.txt', '\n\nFirst\nblock.\n \nSecond.\n');
    const blocks = (await read(path)).documents;
    expect(blocks.map((d) => d.text)).toEqual(['First\nblock.', 'Second.']);
    expect(blocks.map((d) => d.id.split(':')[1])).toEqual(['3', '6']);
    const { documents } = await collect((options) => readText(path, { ...options, unit: 'file' }));
    expect(documents.map((d) => [d.title.replace(/^\d+-/, ''), d.text])).toEqual([
      ['notes', 'First\nblock.\n \nSecond.'],
    ]);
    expect((await read(save('empty.txt', '\n'))).skipped).toEqual({ empty: 1 });
  });

  it('refuses bytes that are not UTF-8', async () => {
    const path = save('latin1.txt', Buffer.from('Fine.\n\nCaf\xe9.\n', 'latin1'));
    await expect(read(path)).rejects.toThrow(/latin1.txt:3: expected UTF-8 text/);
  });
});

describe('readParquet', () => {
  it.each(['uncompressed', 'snappy', 'zstd', 'gzip', 'brotli', 'lz4_raw'])(
    'reads %s',
    async (codec) => {
      const { documents, skipped } = await read(join(FIXTURES, `wiki-${codec}.parquet`));
      expect(documents.map((d) => d.id)).toEqual(['10', '11', '12', '13', '14', '16', '17']);
      expect(documents[1]).toMatchObject({
        title: 'Page 1',
        text: 'Page 1 is about number 1. Ünïcödé: 数.',
      });
      expect(skipped).toEqual({ empty: 1 });
    },
  );

  it('reads several row groups in order', async () => {
    const { documents } = await read(join(FIXTURES, 'wiki-groups.parquet'));
    expect(documents).toHaveLength(4099);
    expect(documents.at(-1)?.id).toBe('4109');
  });

  it('takes other column names, and names the columns there are when the text is not', async () => {
    const path = join(FIXTURES, 'no-text.parquet');
    await expect(read(path)).rejects.toThrow(
      /expected a column "text", received the columns id, body/,
    );
    const { documents } = await collect((options) =>
      readParquet(path, { ...options, columns: { text: 'body', id: 'none' } }),
    );
    expect(documents.map((d) => [d.id, d.text])).toEqual([['no-text.parquet:0', 'x']]);
    const wrongType = collect(() => readParquet(path, { columns: { text: 'id' } }));
    await expect(wrongType).rejects.toThrow(/row 0: expected text and title to be strings/);
  });

  it(
    'refuses damaged files and never fails in another way (seed 9)',
    { timeout: 60_000 },
    async () => {
      const random = new RandomStream(9, 'parquet');
      for (const codec of ['snappy', 'zstd', 'gzip']) {
        const whole = readFileSync(join(FIXTURES, `wiki-${codec}.parquet`));
        for (let round = 0; round < 100; round++) {
          const cut = round % 2 === 0;
          const changed = Buffer.from(cut ? whole.subarray(0, random.below(whole.length)) : whole);
          for (let i = 0; !cut && i < 4; i++)
            changed[random.below(whole.length)] = random.below(256);
          const result: unknown = await read(save('x.parquet', changed)).catch((e: unknown) => e);
          if (cut || result instanceof Error) expect(result).toBeInstanceOf(InputError);
        }
      }
    },
  );
});

describe('readCorpus', () => {
  it('reads a folder file by file in the order of names', async () => {
    const path = join(folder, 'many');
    mkdirSync(path);
    writeFileSync(join(path, 'b.txt'), 'One.\n\nTwo.');
    writeFileSync(join(path, 'a.jsonl'), '{"id":"j","text":"Zero."}');
    writeFileSync(join(path, '.hidden'), '\u0000');
    const { documents } = await read(path);
    expect(documents.map((d) => d.text)).toEqual(['Zero.', 'One.\n\nTwo.']);
  });

  it.each([
    ['x.xml', '', 'wikipedia'],
    ['x.xml.bz2', 'not bzip2', 'wikipedia'],
    ['x.JSONL', '', 'jsonl'],
    ['x.md', '', 'text'],
    ['dump', '\ufeff\n <mediawiki>', 'wikipedia'],
    ['rows.json', '{"id":1}', 'jsonl'],
    ['x', 'PAR1....', 'parquet'],
  ] as const)('takes %s with %j for %s', async (name, content, format) => {
    expect(await detectFormat(save(name, content))).toBe(format);
  });

  it('refuses what it does not know', async () => {
    await expect(read(save('x.bin', '\u0001\u0002'))).rejects.toThrow(/expected a MediaWiki dump/);
    await expect(read(save('x.parquet', 'PARX'))).rejects.toThrow(/does not start with PAR1/);
    await expect(read(join(folder, 'nowhere'))).rejects.toThrow(/expected a file, found nothing/);
    const empty = join(folder, 'empty');
    mkdirSync(empty);
    await expect(read(empty)).rejects.toThrow(/empty folder/);
  });
});

describe('titlesOf', () => {
  it('gives each titled document its names', async () => {
    const entries = await titlesOf([
      { ...documentOf('x'), id: '1', title: 'Mercury (planet)', aliases: ['Mercury', 'Hermes'] },
      { ...documentOf('x'), id: '2', title: '' },
      { ...documentOf('x'), id: '3', title: 'Ada', aliases: [] },
    ]);
    expect(entries).toEqual([
      { documentId: '1', title: 'Mercury', aliases: ['Mercury (planet)', 'Hermes'] },
      { documentId: '3', title: 'Ada', aliases: [] },
    ]);
  });
});
