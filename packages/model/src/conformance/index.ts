export * from './run-conformance.ts';
export type { ConformanceOptions } from './suite.ts';
export * from './run-golden.ts';
