export { RedisQueue, type RedisQueueOptions } from './redis-queue.ts';
