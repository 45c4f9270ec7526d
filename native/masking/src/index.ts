export * from './contracts.ts';
export * from './native.ts';
export * from './outputs.ts';
export * as reference from './reference.ts';
