export * from './bootstrap.ts';
export * from './compare.ts';
export * from './evaluate.ts';
export * from './evaluation-record.ts';
export * from './text-table.ts';
