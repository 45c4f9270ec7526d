export type * from './read-options.ts';
export * from './split-passages.ts';
export { canonicalTitle } from './wiki-aliases.ts';
export { readWikiPages, type WikiPage } from './wiki-pages.ts';
export { readWikipedia, type WikipediaOptions } from './wikipedia.ts';
