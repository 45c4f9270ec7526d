export * from './atomic-file.ts';
export * from './deadline.ts';
export * from './errors.ts';
export * from './jsonl.ts';
export * from './manifest.ts';
export * from './random.ts';
export * from './records.ts';
export * from './sample-invariants.ts';
