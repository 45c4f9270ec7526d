export type * from './decoder-config.ts';
export type * from './language-model.ts';
