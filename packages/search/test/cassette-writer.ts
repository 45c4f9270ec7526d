// A process that records calls: `node cassette-writer.ts <cassette> <name> <calls>`. The tests start several.
import type { SearchResult } from '@masksearch/core';
import { RecordSearch } from '../src/index.ts';

const [, , path = '', name = '', calls = '0'] = process.argv;

const tool = {
  provider: 'writer',
  search: async ({ query }: { readonly query: string }): Promise<SearchResult[]> => [
    { id: `${query} of ${name}`, documentId: 'd', title: '', text: 'é'.repeat(20_000), score: 1 },
  ],
};

const recorder = new RecordSearch(tool, path);
await recorder.search({ query: 'shared', topK: 1 });
for (let i = 0; i < Number(calls); i++) await recorder.search({ query: `${name} ${i}`, topK: 1 });
recorder.close();
