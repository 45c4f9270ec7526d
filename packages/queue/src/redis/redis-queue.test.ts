// The Redis queue: the shared suite against a Redis of its own.
import { UnavailableError } from '@masksearch/core';
import { describe, expect, it } from 'vitest';
import { queueSuite } from '../../test/queue-suite.ts';
import { hasRedis, startRedis } from '../testing/redis-server.ts';
import { RedisQueue } from './redis-queue.ts';

let redis: Awaited<ReturnType<typeof startRedis>> | undefined;

describe.skipIf(!hasRedis)('with redis-server (Debian package redis-server)', () => {
  queueSuite(
    'RedisQueue',
    (name, leaseMs) =>
      RedisQueue.connect({
        url: redis?.url ?? '',
        name,
        ...(leaseMs === undefined ? {} : { leaseMs }),
      }),
    {
      before: async () => {
        redis = await startRedis();
      },
      after: async () => redis?.close(),
    },
  );
});

it('says what to do where no Redis answers', async () => {
  const connecting = RedisQueue.connect({ url: 'redis://127.0.0.1:1', name: 'x' });
  await expect(connecting).rejects.toThrow(UnavailableError);
  await expect(connecting).rejects.toThrow('127.0.0.1:1: expected a Redis server');
}, 60_000);
