export * from './run-conformance.ts';
export type { ConformanceOptions } from './suite.ts';
export * from './run-golden.ts';
export { qwen25HalfBillion } from './shapes.ts';
