// Measures how fast a Wikipedia dump becomes documents and passages, as JSON lines.
//
// Usage: node bench/search-corpus.ts [<dump>]; the default is the enwiki excerpt in the data folder.
import { fileURLToPath } from 'node:url';
import type { Document } from '../packages/core/src/index.ts';
import { readWikipedia, readWikiPages, splitPassages } from '../packages/corpus/src/index.ts';
import { printRow } from './search-rows.ts';

const data =
  process.env['MASKSEARCH_DATA'] ?? fileURLToPath(new URL('../../shared/data', import.meta.url));
const path = process.argv[2] ?? `${data}/wiki/enwiki-shortened.xml.bz2`;

/** CPU seconds of `run`, and its result. */
async function timed<T>(run: () => Promise<T> | T): Promise<{ seconds: number; value: T }> {
  const start = process.cpuUsage();
  const value = await run();
  const { user, system } = process.cpuUsage(start);
  return { seconds: (user + system) / 1e6, value };
}

async function countWikitext(): Promise<number> {
  let characters = 0;
  for await (const { wikitext } of readWikiPages(path)) characters += wikitext.length;
  return characters;
}

async function readDocuments(aliases: 'collect' | 'skip'): Promise<Document[]> {
  const documents: Document[] = [];
  for await (const document of readWikipedia(path, { aliases })) documents.push(document);
  return documents;
}

await readDocuments('collect'); // warms up
const pages = await timed(countWikitext);
const megabytes = pages.value / 1e6;
const once = await timed(() => readDocuments('skip'));
const twice = await timed(() => readDocuments('collect'));
const passages = await timed(() => once.value.flatMap((document) => splitPassages(document)));
const floor = pages.seconds;

for (const [name, { seconds }] of Object.entries({
  'pages (decompression and XML)': pages,
  'documents, aliases skipped': once,
  'documents, aliases collected': twice,
  'documents to passages': passages,
})) {
  const floorIs = 'decompressing the dump and parsing its XML';
  const megabytesPerSecond = megabytes / seconds;
  printRow(
    { case: name, unit: 'CPU s', measured: seconds, megabytesPerSecond, floor, floorIs },
    'node bench/search-corpus.ts',
  );
}
