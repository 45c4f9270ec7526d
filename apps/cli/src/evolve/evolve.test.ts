// Rounds as the command plays them: killed within a round and between rounds, they end as if nothing had happened.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RandomStream } from '@masksearch/core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { hashesOf, killCommand, runCommand } from '../../test/run-command.ts';

const BASE = join(import.meta.dirname, '../../../../models/base');
const CONFIG = `
seed: 1
corpus: { world: { articles: 100, heldoutArticles: 100 } }
tasks: { train: { ramp: 4, questions: 4 }, heldout: { ramp: 1, questions: 1 } }
episode: { maxTurns: 4, maxTurnTokens: 64, maxPolicyTokens: 128, maxInformationTokens: 128, maxContextTokens: 1024 }
model: { from: ${BASE}, threads: 1 }
sft:
  phases: [{ name: all, groups: [k1, k2, k3, k4, hop1, hop2, comparison], steps: 3 }]
  batchTokens: 512
  microBatchTokens: 512
  checkpointEvery: 1
evolve: { rounds: 1, samplesPerTask: 2, concurrency: 8 }
evaluation: { tasksPerGroup: 1, randomTasksPerGroup: 0 }
`;

let folder: string;
const EVOLVE = ['evolve', '--config', 'config.yaml', '--run'];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'evolve-'));
  writeFileSync(join(folder, 'config.yaml'), CONFIG);
  for (const stage of ['corpus', 'index', 'tasks']) {
    const args = [stage, '--config', 'config.yaml', '--run', 'whole'];
    const { status, stderr } = runCommand(folder, args);
    expect(status, stderr).toBe(0);
  }
  cpSync(join(folder, 'whole'), join(folder, 'killed'), { recursive: true });
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true }));

test('rounds that are killed end with the bytes of undisturbed ones, and are skipped when they are done', async () => {
  const started = performance.now();
  const whole = runCommand(folder, [...EVOLVE, 'whole']);
  const wholeMs = performance.now() - started;
  expect(whole.status, whole.stderr).toBe(0);
  expect(whole.stdout).toMatch(/round/);
  const random = new RandomStream(1, 'kill', 'evolve');
  for (let kill = 0; kill < 5; kill++) {
    const moment = () => sleep((0.2 + 0.6 * random.uniform()) * wholeMs);
    await killCommand(folder, [...EVOLVE, 'killed'], moment);
  }
  const { status, stderr } = runCommand(folder, [...EVOLVE, 'killed']);
  expect(status, stderr).toBe(0);
  const hashes = hashesOf(join(folder, 'killed/evolve'));
  expect(hashes).toEqual(hashesOf(join(folder, 'whole/evolve')));
  const round = 'round-1/trajectories';
  expect(Object.keys(hashes)).toEqual(
    expect.arrayContaining(['rounds.md', `${round}/trajectories.jsonl`, `${round}/student.jsonl`]),
  );
  const manifest = readFileSync(join(folder, `killed/evolve/${round}/manifest.json`), 'utf8');
  expect(JSON.parse(manifest)).toMatchObject({
    config: { backend: 'native', chatTemplate: 'auto', toolCalls: 'tags' },
  });
  const again = runCommand(folder, [...EVOLVE, 'killed']);
  expect(again.stdout).toBe(whole.stdout);
}, 600_000);
