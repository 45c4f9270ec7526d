export * from './operations.ts';
export * from './reference-adamw.ts';
export * from './reference-decoder.ts';
export * from './reference-adapter.ts';
