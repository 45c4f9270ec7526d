// Dumps to documents: text, links, names, what is skipped, and dumps that are damaged.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type Document, documentSchema, InputError, RandomStream } from '@masksearch/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { collect, DATA, needs } from './testing.ts';
import { readWikipedia } from './wikipedia.ts';

let folder: string;
let counter = 0;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'masksearch-wiki-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function save(content: string | Uint8Array, name = 'dump.xml'): string {
  const path = join(folder, `${counter++}-${name}`);
  writeFileSync(path, content);
  return path;
}

const escapeXml = (text: string): string =>
  text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');

interface Page {
  readonly title: string;
  readonly text: string;
  readonly ns?: number;
  readonly redirect?: string;
}

function dump(...pages: readonly Page[]): string {
  const xml = pages.map(({ title, text, ns = 0, redirect }, i) => {
    const element = redirect === undefined ? '' : `<redirect title="${escapeXml(redirect)}" />`;
    return `<page><title>${escapeXml(title)}</title><ns>${ns}</ns><id>${i + 1}</id>${element}
<revision><id>9</id><text xml:space="preserve">${escapeXml(text)}</text></revision></page>`;
  });
  return `<mediawiki version="0.11">\n<siteinfo><sitename>Test</sitename></siteinfo>\n${xml.join('\n')}\n</mediawiki>\n`;
}

const read = (path: string) => collect((options) => readWikipedia(path, options));

/** The record is valid, its spans are in order, and each span's text stands at its offset. */
function check(document: Document): void {
  documentSchema.parse(document);
  let end = 0;
  const misplaced = document.spans.filter((span) => {
    const fits = span.start >= end && document.text.slice(span.start, span.end) === span.text;
    end = span.end;
    return !fits;
  });
  expect(misplaced).toEqual([]);
}

// "bzip2 -c" of a dump cut in two after its first page: two streams, as in Wikipedia's multistream files.
const MULTISTREAM = Buffer.concat(
  [
    'QlpoOTFBWSZTWW5iJ8sAABdfgEAQQIHgBSIAAAov793gIACUhKqfkZKYT1MRmkepo9QGgoaB6RoANNAQVEDBKAY1wEXFByCDwSh761alLTmZDxbjZJSnVYMmXPa9Eza49m92IUHrOpuS48DE9RocdVrW2NCw5pgokrHZvkcIFs4xki9MiR9HZ9PywcoTdTb8XckU4UJBuYifLA==',
    'QlpoOTFBWSZTWXx22DoAAAhfgEAQQAHQBTAAAAo2793AIAB1DUnqBp6QeoNPUPKaBpoUNGmg0AAKIICEYAj2W0USkRqjB7JqGipm++q9v4rUFs4GpJxny4xK0gsuoMF9CIMIbvo3jOooDGxkCjQSNnCqDIMPg7ksMkvI/F3JFOFCQfHbYOg=',
  ].map((part) => Buffer.from(part, 'base64')),
);

describe('readWikipedia', () => {
  it('turns wikitext into plain text with links at exact offsets', async () => {
    const text = `{{Infobox person|name=Ada}}
'''Ada Lovelace''' (born {{Unknown template|x}}) was an [[England|English]] [[mathematician]]s' friend.<ref>A book</ref> She wrote &ndash; for the [[Analytical Engine#History|engine]].

{| class="wikitable"
! Year !! Work
|-
| 1843 || Notes
|}
She died in [[London]]. [[File:Ada.jpg|thumb|A [[portrait]]]]

== Works ==
* [[Notes (Lovelace)|Notes]]
* Letters

== References ==
* A long list
[[Category:People]]`;
    const { documents } = await read(save(dump({ title: 'Ada Lovelace', text })));
    expect(documents).toHaveLength(1);
    const [document] = documents as [Document];
    check(document);
    expect(document.text).toBe(
      "Ada Lovelace (born ) was an English mathematicians' friend. She wrote – for the engine.\n\nShe died in London.\n\nNotes\nLetters",
    );
    expect(document.spans.map(({ text: shown, kind, aliases }) => [shown, kind, aliases])).toEqual([
      ['English', 'link', ['England']],
      ['mathematicians', 'link', ['Mathematician']],
      ['engine', 'link', ['Analytical Engine']],
      ['London', 'link', []],
      ['Notes', 'link', ['Notes (Lovelace)']],
    ]);
  });

  it('makes redirects and repeated link texts names of their targets', async () => {
    const path = save(
      dump(
        { title: 'UK', text: '#REDIRECT [[United Kingdom]]', redirect: 'United Kingdom' },
        { title: 'Britain', text: '#REDIRECT [[UK]]' },
        {
          title: 'United Kingdom',
          text: 'The United Kingdom is a country with [[Mercury (element)|metal]].',
        },
        {
          title: 'London',
          text: 'It is in the [[UK|Kingdom]] and was [[united_Kingdom|Kingdom]] for long.',
        },
        {
          title: 'Mercury (element)',
          text: 'A metal of the [[Kingdom (biology)|Kingdom]], or the [[uK]].',
        },
      ),
    );
    const { documents, skipped } = await read(path);
    expect(skipped).toEqual({ redirect: 2 });
    expect(documents.map((d) => [d.title, d.aliases])).toEqual([
      ['United Kingdom', ['Kingdom', 'UK']],
      ['London', []],
      ['Mercury (element)', ['Mercury']],
    ]);
    const [first] = documents[1]?.spans ?? [];
    expect(first).toMatchObject({ text: 'Kingdom', aliases: ['United Kingdom', 'UK'] });
    const once = await collect((options) => readWikipedia(path, { ...options, aliases: 'skip' }));
    expect(once.documents.map((d) => d.aliases.length)).toEqual([0, 0, 1]);
  });

  it('skips other namespaces, disambiguations, repeated titles and pages without text, and says so', async () => {
    const { documents, skipped } = await read(
      save(
        dump(
          { title: 'Talk:Ada', text: 'Chat.', ns: 1 },
          { title: 'Ada', text: '{{disambiguation}}\n* [[Ada Lovelace]]' },
          { title: 'Nothing', text: '{{stub}}' },
          { title: 'Something', text: 'Some text.' },
          { title: 'Something', text: 'Some other text.' },
        ),
      ),
    );
    expect(documents.map((d) => d.title)).toEqual(['Something']);
    expect(skipped).toEqual({ 'other-namespace': 1, disambiguation: 1, empty: 1, duplicate: 1 });
  });

  it('survives markup that is not closed', async () => {
    const { documents } = await read(
      save(
        dump({
          title: 'Broken',
          text: `Fine text here. {{cite|x Broken [[link and ''italic. {| table\n\n${'[['.repeat(200)}${'{{'.repeat(200)}\n\nMore fine text.`,
        }),
      ),
    );
    for (const document of documents) {
      check(document);
      expect(document.text).not.toMatch(/\[\[|\{\{|\{\|/);
    }
  });

  it('gives up at once on pages that would take the parser minutes', async () => {
    const pages = ['[[File:a|', '{{a|b={{c\n', '<!--\n', '[http://a \n'].map((part, i) => ({
      title: `Tangle ${i}`,
      text: `Text. ${part.repeat(100_000)}`,
    }));
    const { documents, skipped } = await read(
      save(dump(...pages, { title: 'Fine', text: 'Text.' })),
    );
    expect(documents.map((d) => d.title)).toEqual(['Fine']);
    expect(skipped).toEqual({ unparsable: 4 });
  });

  it('reads gzip and multistream bzip2', async () => {
    const bzip2 = await read(save(MULTISTREAM, 'dump.xml.bz2'));
    expect(bzip2.documents.map((d) => d.title)).toEqual(['Ada', 'Babbage']);
    const zipped = gzipSync(dump({ title: 'A', text: 'Text.' }));
    expect((await read(save(zipped, 'dump.xml.gz'))).documents).toHaveLength(1);
  });

  it(
    'refuses a dump cut off anywhere, plain or compressed (seed 5)',
    { timeout: 60_000 },
    async () => {
      const random = new RandomStream(5, 'cut');
      const xml = Buffer.from(dump({ title: 'A', text: 'Text é.' }, { title: 'B', text: 'More.' }));
      for (const whole of [xml.subarray(0, -1), gzipSync(xml), MULTISTREAM]) {
        for (let round = 0; round < 25; round++) {
          const path = save(whole.subarray(0, random.below(whole.length - 1)));
          const error: unknown = await read(path).catch((reason: unknown) => reason);
          expect(error).toBeInstanceOf(InputError);
          expect(String(error)).toContain(path);
        }
      }
    },
  );

  it(
    'refuses damaged compressed data and never fails in another way (seed 6)',
    { timeout: 60_000 },
    async () => {
      const random = new RandomStream(6, 'damage');
      const xml = Buffer.from(dump({ title: 'A', text: 'Text é.' }, { title: 'B', text: 'More.' }));
      for (const [whole, checked] of [
        [xml, false],
        [MULTISTREAM, true],
      ] as const) {
        for (let round = 0; round < 60; round++) {
          const changed = Buffer.from(whole);
          const at = random.below(whole.length);
          changed[at] = (changed[at] as number) ^ (1 + random.below(255));
          const result: unknown = await read(save(changed)).catch((reason: unknown) => reason);
          if (checked || result instanceof Error) expect(result).toBeInstanceOf(InputError);
        }
      }
    },
  );

  it('names file and line of malformed XML', async () => {
    const path = save('<mediawiki>\n<page>\n<title>A</title></wrong>');
    await expect(read(path)).rejects.toThrow(`${path}:3:`);
    await expect(read(path)).rejects.toThrow(/other data: [a-z]/);
    await expect(read(save('<html></html>'))).rejects.toThrow(/root element is <html>/);
    await expect(read(save('<mediawiki><page><id>1</id></page></mediawiki>'))).rejects.toThrow(
      /page has no title/,
    );
    await expect(read(save(Buffer.from([0x3c, 0xff, 0xfe])))).rejects.toThrow(/UTF-8/);
    await expect(read(join(folder, 'absent.xml'))).rejects.toThrow(InputError);
  });
});

/** Pages, articles and what was skipped; the numbers add up to the pages of the dump. */
const REAL = [
  { file: 'wiki/enwiki-shortened.xml.bz2', pages: 206, articles: 98, redirects: 99 },
  { file: 'wiki/tinywiki.xml', pages: 8, articles: 5, redirects: 1 },
  { file: 'wiki/smallwiki-ltg.xml', pages: 2004, articles: 895, redirects: 147 },
];

describe.each(REAL)('the dump $file', ({ file, pages, articles, redirects }) => {
  const { missing, note } = needs(file);
  it.skipIf(missing)(`is read whole${note}`, { timeout: 60_000 }, async () => {
    const { documents, skipped } = await read(join(DATA, file));
    expect(documents).toHaveLength(articles);
    expect(skipped.redirect).toBe(redirects);
    expect(skipped.unparsable ?? 0).toBe(0);
    const skips = Object.values(skipped).reduce((sum, count) => sum + count, 0);
    expect(documents.length + skips).toBe(pages);
    expect(new Set(documents.map((d) => d.id)).size).toBe(articles);
    for (const document of documents) {
      check(document);
      expect(document.text).not.toMatch(/\[\[|\]\]|\{\{|\}\}|\{\||\|\}|<ref|'''/);
    }
  });
});
