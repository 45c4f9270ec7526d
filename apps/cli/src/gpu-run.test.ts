// A run whose model is on a GPU, on the CUDA plug-in's CPU emulator: sft, rl on an adapter, evaluation, a kill on the way.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { copyRun, hashesOf, killCommand, readMetrics, runCommand } from '../test/run-command.ts';

const PLUGIN = join(
  import.meta.dirname,
  '../../../native/engine/build/cuda/emulator/libmasksearch_cuda_emulated_plugin.so',
);

/** As small as the kernels take: the emulator runs every thread of a block in turn. */
const CONFIG = `
seed: 1
corpus: { world: { articles: 100, heldoutArticles: 100 } }
tasks: { train: { ramp: 2, questions: 0 }, heldout: { ramp: 1, questions: 0 } }
episode: { topK: 1, maxTurns: 6, maxTurnTokens: 64, maxPolicyTokens: 128, maxInformationTokens: 128, maxContextTokens: 1024 }
model:
  device: cuda
  dtype: bfloat16
  gpuMemory: 0.25
  width: 16
  layers: 1
  heads: 1
  keyValueHeads: 1
  headWidth: 16
  feedForwardWidth: 16
  initialization: random
sft:
  phases: [{ name: all, groups: [k1], steps: 3 }]
  batchTokens: 256
  microBatchTokens: 512
  learningRate: 0.01
  warmUpSteps: 1
  checkpointEvery: 1
reward: { overlongTokens: 128 }
rl:
  recipe: grpo
  steps: 2
  groupsPerStep: 1
  samplesPerTask: 4
  maximumRounds: 1
  microBatchTokens: 1024
  learningRate: 0.01
  lora: { rank: 2, alpha: 4 }
evaluation: { tasksPerGroup: 1, randomTasksPerGroup: 0, checkpoints: [rl] }
`;

const absent = existsSync(PLUGIN)
  ? ''
  : ' (skipped: native/engine/build/cuda has no emulated plug-in)';

describe.skipIf(absent !== '')(`a run on the emulated GPU${absent}`, () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'gpu-run-'));
    vi.stubEnv('MASKSEARCH_CUDA_PLUGIN', PLUGIN);
    vi.stubEnv('XDG_CACHE_HOME', join(folder, 'cache'));
    writeFileSync(join(folder, 'config.yaml'), CONFIG);
    const { status, stderr } = runCommand(folder, [
      'run',
      '--config',
      'config.yaml',
      '--run',
      'whole',
    ]);
    expect(status, stderr).toBe(0);
    expect(stderr).toContain('memory of the GPU');
  }, 240_000);
  afterAll(() => {
    vi.unstubAllEnvs();
    rmSync(folder, { recursive: true });
  });

  const metricsOf = (stage: string) => readMetrics(join(folder, 'whole', stage));

  test.each(['sft', 'rl', 'evaluation'])('%s ran there', (stage) => {
    const manifest: unknown = JSON.parse(
      readFileSync(join(folder, 'whole', stage, 'manifest.json'), 'utf8'),
    );
    expect(manifest).toMatchObject({ device: 'native cuda emulated device' });
  });

  test('sft learns, and rl updates an adapter from samples that the trainer finds as likely', () => {
    const losses = metricsOf('sft').map((row) => Number(row['train/loss']));
    expect(losses[2]).toBeLessThan(Number(losses[0]));
    const rows = metricsOf('rl').filter((row) => Number(row['actor/updates']) > 0);
    expect(rows.length).toBeGreaterThan(0);
    for (const row of rows) {
      expect(Number(row['rollout/max_ratio_deviation'])).toBeLessThan(0.05);
    }
  });

  test('sft, killed after a checkpoint, ends with the weights of one that was not', async () => {
    const killed = copyRun(folder, 'whole', 'killed', ['corpus', 'index', 'tasks', 'trajectories']);
    const checkpoint = join(folder, killed, 'sft.work/checkpoints/step-000001/manifest.json');
    await killCommand(folder, ['sft', '--run', killed], async () => {
      while (!existsSync(checkpoint)) await sleep(5);
    });
    expect(existsSync(join(folder, killed, 'sft'))).toBe(false);
    const { status, stderr } = runCommand(folder, ['sft', '--run', killed]);
    expect(status, stderr).toBe(0);
    expect(hashesOf(join(folder, killed, 'sft'))).toEqual(hashesOf(join(folder, 'whole/sft')));
  }, 120_000);

  test('without the plug-in, the message names the command that builds it', () => {
    vi.stubEnv('MASKSEARCH_CUDA_PLUGIN', join(folder, 'absent.so'));
    const { status, stderr } = runCommand(folder, ['sft', '--run', 'whole', '--fresh']);
    vi.stubEnv('MASKSEARCH_CUDA_PLUGIN', PLUGIN);
    expect(status).toBe(1);
    expect(stderr).toMatch(/expected the plug-in at .*build:cuda/);
  });
});
