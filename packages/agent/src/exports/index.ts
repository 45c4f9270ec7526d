export { toChatml, type ChatmlMessage, type ChatmlRecord } from './chatml.ts';
export { SEARCH_FUNCTION } from './search-function.ts';
export { toSearchR1, type SearchR1Row } from './search-r1.ts';
export { datasetInfo, toShareGpt, type ShareGptRecord, type ShareGptTurn } from './sharegpt.ts';
export { exportedSteps, type ExportedSearch, type ExportedSteps } from './steps.ts';
export { searchR1Parquet } from './write-parquet.ts';
