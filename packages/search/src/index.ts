export * from './bm25.ts';
export { Bm25Index, openIndex } from './bm25-index.ts';
export { CachedSearch } from './cached-search.ts';
export { CassetteFile } from './cassette/cassette-file.ts';
export { type CassetteRow, cassetteRowSchema } from './cassette/cassette-row.ts';
export { RecordSearch } from './cassette/record-search.ts';
export { ReplaySearch } from './cassette/replay-search.ts';
export type { CorpusStatistics } from './corpus-statistics.ts';
export * from './english-analysis.ts';
export {
  DEFAULT_POLICY,
  type JsonRequest,
  requestJson,
  type RequestPolicy,
} from './http/request-json.ts';
export { type BuildOptions, buildIndex, buildIndexInMemory } from './index-builder.ts';
export type { IndexHeader } from './index-format.ts';
export { porterStem } from './porter-stemmer.ts';
export { type PassageSource, RandomSearch } from './random-search.ts';
export { RetrieveClient, type RetrieveOptions } from './retrieve/retrieve-client.ts';
export { connectRetrieve, ShardedSearch } from './retrieve/sharded-search.ts';
export * from './retrieve/wire.ts';
export { checkSearchRequest } from './search-request.ts';
export type * from './search-tool.ts';
export { unicodeWords } from './unicode-words.ts';
export { fetchPage, type Page, type PageOptions } from './pages/fetch-page.ts';
export { PageSearch } from './pages/page-search.ts';
export { isPublicAddress } from './pages/public-address.ts';
export * from './simulated-search.ts';
export { OpenSearchTool, type OpenSearchOptions } from './web/opensearch.ts';
export { WEB_PROVIDERS, type WebProviderName } from './web/providers.ts';
export type * from './web/web-provider.ts';
export { openWebSearch, WebSearch, type WebSearchOptions } from './web/web-search.ts';
