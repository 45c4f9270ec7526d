// Synthesis as processes: killed at any moment, over SQLite and over Redis, against a server that misbehaves.
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { prepareRun } from '../../test/prepare-run.ts';
import { hasRedis, startRedis } from '@masksearch/queue/testing';
import { synthesisTrial, type TrialOptions, type TrialResult } from '../../test/synthesis-trial.ts';

const TIMEOUT_MS = 600_000;
const root = mkdtempSync(join(tmpdir(), 'synthesis-'));
const prepared = join(root, 'prepared');
const defaults: Omit<TrialOptions, 'run'> = {
  processes: 2,
  concurrency: 16,
  latencyMs: 30,
  faults: {
    'rate-limit': 0.04,
    'server-error': 0.04,
    stall: 0.02,
    cut: 0.04,
    malformed: 0.03,
    hostile: 0.03,
  },
  kills: 0,
  killEveryMs: 700,
  seed: 1,
};

beforeAll(() => prepareRun(prepared, 16), TIMEOUT_MS);
afterAll(() => rmSync(root, { recursive: true }));

function trial(name: string, options: Partial<TrialOptions> = {}): Promise<TrialResult> {
  const run = join(root, name);
  cpSync(prepared, run, { recursive: true });
  return synthesisTrial({ ...defaults, run, ...options });
}

function expectWhole({ tasks, kept, rejected, leaks }: TrialResult): void {
  const ids = [...kept, ...rejected].map(({ taskId }) => taskId);
  expect(ids).toHaveLength(tasks);
  expect(new Set(ids).size).toBe(tasks);
  for (const { verdict } of kept) expect(verdict).toEqual({ accepted: true, reason: 'accepted' });
  for (const { verdict } of rejected) {
    expect(verdict.accepted).toBe(false);
    expect(verdict.reason).not.toBe('');
  }
  expect(kept.length).toBeGreaterThan(tasks / 4);
  expect(leaks).toEqual([]);
}

const bytesOf = (name: string): string[] =>
  ['trajectories.jsonl', 'rejected.jsonl'].map((file) =>
    readFileSync(join(root, name, 'trajectories', file), 'utf8'),
  );

describe('synthesis', () => {
  it(
    'ends every task as kept or rejected with a reason, none twice, through kill -9, with the bytes of an undisturbed run',
    async () => {
      const calm = await trial('calm', { processes: 1 });
      expectWhole(calm);
      const killed = await trial('killed', { processes: 3, kills: 5 });
      expect(killed.kills).toBe(5);
      expectWhole(killed);
      expect(bytesOf('killed')).toEqual(bytesOf('calm').map((text) => portless(text)));
      expect(existsSync(join(root, 'killed', 'trajectories', 'parts'))).toBe(false);
    },
    TIMEOUT_MS,
  );

  it.skipIf(!hasRedis)(
    'gives with 4 processes over Redis (Debian package redis-server) the records of one over SQLite',
    async () => {
      const redis = await startRedis();
      try {
        const shared = await trial('redis', { processes: 4, redis: `${redis.url}/0`, kills: 2 });
        expectWhole(shared);
        expectWhole(await trial('single', { processes: 1 }));
        expect(bytesOf('redis')).toEqual(bytesOf('single'));
      } finally {
        await redis.close();
      }
    },
    TIMEOUT_MS,
  );
});

/** Records name endpoints, not addresses: nothing to take out. */
function portless(text: string): string {
  expect(text).not.toContain('127.0.0.1');
  return text;
}
