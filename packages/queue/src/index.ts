export { PartFiles, PartWriter } from './part-files.ts';
export { planShards, readShard, type ShardItem } from './plan-shards.ts';
export { runWorker, type WorkerOptions } from './run-worker.ts';
export { SqliteQueue, type SqliteQueueOptions } from './sqlite-queue.ts';
export type * from './work-queue.ts';
