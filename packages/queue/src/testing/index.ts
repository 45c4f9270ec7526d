export { hasRedis, startRedis } from './redis-server.ts';
