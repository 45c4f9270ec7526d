export * from './run-conformance.ts';
export type { ConformanceOptions } from './suite.ts';
export { runGolden } from './run-golden.ts';
export * from './run-bfloat16-golden.ts';
export { qwen25HalfBillion } from './shapes.ts';
