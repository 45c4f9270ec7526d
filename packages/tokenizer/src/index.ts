export * from './byte-level-tokenizer.ts';
export * from './encode-marked.ts';
export * from './encoding-pool.ts';
export * from './tokenizer.ts';
export * from './train-bpe.ts';
