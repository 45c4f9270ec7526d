export * from './bm25.ts';
export { Bm25Index, openIndex } from './bm25-index.ts';
export * from './english-analysis.ts';
export { type BuildOptions, buildIndex, buildIndexInMemory } from './index-builder.ts';
export type { IndexHeader } from './index-format.ts';
export { porterStem } from './porter-stemmer.ts';
export type * from './search-tool.ts';
export { unicodeWords } from './unicode-words.ts';
