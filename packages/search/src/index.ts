export type * from './search-tool.ts';
