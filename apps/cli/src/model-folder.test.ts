// A run that starts from a model folder: its tokenizer, its chat template, sft in full, rl on an adapter, to the report.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createChatCodec, trajectoryToExample } from '@masksearch/agent';
import { readAllJsonl, taskSchema, trajectorySchema, type Task } from '@masksearch/core';
import { runReportSchema } from '@masksearch/evaluation';
import { loadAdapterFolder } from '@masksearch/model';
import { loadTokenizer, readChatTemplate, type Tokenizer } from '@masksearch/tokenizer';
import { countLabels, countTokens, type TrainingExample } from '@masksearch/train';
import { generateWorld } from '@masksearch/world';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { copyRun, hashesOf, killCommand, readMetrics, runCommand } from '../test/run-command.ts';
import { trainTinyTokenizer, writeTinyModelFolder } from '../test/tiny-model-folder.ts';

const EPOCHS = 4;
/** Groups are judged by reward, and length counts: a model that gets nothing right has something to learn. */
const CONFIG = `
seed: 1
corpus: { world: { articles: 100, heldoutArticles: 100 } }
tasks: { train: { ramp: 6, questions: 0 }, heldout: { ramp: 1, questions: 0 } }
episode: { maxTurns: 6, maxTurnTokens: 64, maxPolicyTokens: 128, maxInformationTokens: 128, maxContextTokens: 1024 }
sft:
  phases: [{ name: all, groups: [k1, k2], epochs: ${EPOCHS} }]
  batchTokens: 1024
  microBatchTokens: 1024
  learningRate: 0.004
  warmUpSteps: 2
  checkpointEvery: 2
reward: { overlongTokens: 128 }
rl:
  recipe: grpo
  steps: 6
  groupsPerStep: 3
  samplesPerTask: 4
  maximumRounds: 1
  microBatchTokens: 1024
  learningRate: 0.01
  lora: { rank: 2, alpha: 4 }
  klCoefficient: 0.01
  displacementCoefficient: 0.2
  checkpointEvery: 1
evaluation: { tasksPerGroup: 1, randomTasksPerGroup: 1 }
`;
const DATA = ['corpus', 'index', 'tasks', 'trajectories'];

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'model-folder-'));
  const world = generateWorld({ seed: 2, articles: 100, split: 'train' });
  const texts = [...world].map(({ text }) => text);
  await writeTinyModelFolder(join(folder, 'start'), trainTinyTokenizer(texts));
  writeFileSync(join(folder, 'config.yaml'), CONFIG);
  const args = ['run', '--config', 'config.yaml', '--run', 'whole', '--model', 'start'];
  const { status, stderr } = runCommand(folder, args);
  expect(status, stderr).toBe(0);
}, 120_000);
afterAll(() => {
  rmSync(folder, { recursive: true });
});

describe('a run from a model folder', () => {
  test('trains on the tokens of its chat template, and learns what the model writes in them', async () => {
    const examples = await chatExamples();
    const [text] = examples.map(({ ids }) => tokenizer().decode(ids));
    expect(text).toMatch(/^<\|im_start\|>system\n[^]+<\|im_start\|>assistant\n/);
    const rows = metricsOf('sft');
    expect(sumOf(rows, 'train/tokens')).toBe(EPOCHS * countTokens(examples));
    expect(sumOf(rows, 'train/label_tokens')).toBe(EPOCHS * countLabels(examples));
    expect(countLabels(examples)).toBeLessThan(countTokens(examples) / 2);
  });

  test('rl moves the adapter alone; both stages leave the model in the form it came in', () => {
    const moved = metricsOf('rl').some((row) => Number(row['actor/updates']) > 0);
    expect(moved).toBe(true);
    const lost = metricsOf('rl').map((row) => Number(row['actor/displacement'] ?? 0));
    expect(Math.max(...lost)).toBeGreaterThan(0);
    const { config, weights } = loadAdapterFolder(join(folder, 'whole/rl/adapter'));
    expect(config).toMatchObject({ rank: 2, alpha: 4 });
    const b = weights.filter(({ name }) => name.includes('lora_B'));
    expect(b.some(({ data }) => data.some((value) => value !== 0))).toBe(true);
    const start = hashesOf(join(folder, 'start'));
    for (const stage of ['sft', 'rl']) {
      const { 'model.safetensors': trained, ...others } = hashesOf(
        join(folder, 'whole', stage, 'model'),
      );
      const { 'model.safetensors': random, ...files } = start;
      expect(others).toEqual(files);
      expect(trained).not.toBe(random);
    }
  });

  test('leaves the report of every run', () => {
    const report = runReportSchema.parse(readJson('whole/report.json'));
    expect(Object.keys(report.evaluation)).toEqual(['base', 'sft', 'rl']);
    expect(readFileSync(join(folder, 'whole/report.html'), 'utf8')).toMatch(/^<!doctype html>/);
  });

  test.each([
    ['sft', DATA],
    ['rl', [...DATA, 'sft']],
  ])(
    'masksearch %s --model, killed after a checkpoint, ends with the weights of one that was not',
    async (stage, needed) => {
      const killed = copyRun(folder, 'whole', `${stage}-killed`, needed);
      const args = [stage, '--run', killed, '--model', 'start'];
      const checkpoints = join(folder, killed, `${stage}.work/checkpoints`);
      await killCommand(folder, args, async () => {
        while (!existsSync(join(checkpoints, 'step-000002/manifest.json'))) await sleep(5);
      });
      expect(existsSync(join(folder, killed, stage))).toBe(false);
      const { status, stderr } = runCommand(folder, args);
      expect(status, stderr).toBe(0);
      expect(stderr).not.toContain('up to date');
      expect(withoutNames(join(folder, killed, stage))).toEqual(
        withoutNames(join(folder, 'whole', stage)),
      );
    },
    120_000,
  );

  test('masksearch sft --backend tfjs-cpu takes the first step that the native engine takes', () => {
    const run = copyRun(folder, 'whole', 'tfjs', DATA);
    const args = ['sft', '--run', run, '--model', 'start', '--backend', 'tfjs-cpu'];
    const phases = '[{ name: all, groups: [k1, k2], steps: 1 }]';
    const { status, stderr } = runCommand(folder, [...args, '--phases', phases]);
    expect(status, stderr).toBe(0);
    expect(readJson(join(run, 'sft/manifest.json'))).toMatchObject({ device: 'tfjs cpu' });
    const [first] = metricsOf('sft', run);
    const [native] = metricsOf('sft');
    for (const key of ['train/loss', 'train/entropy', 'train/grad_norm']) {
      expect(Number(first?.[key]) / Number(native?.[key]), key).toBeCloseTo(1, 4);
    }
  }, 240_000);
});

const data = process.env['MASKSEARCH_DATA'] ?? join(import.meta.dirname, '../../../../shared/data');
const qwen = join(data, 'tokenizers/qwen2.5_tokenizer.rebuilt.json');
const wikipedia = join(data, 'wiki/enwiki-shortened.xml.bz2');
const missing = [qwen, wikipedia].find((path) => !existsSync(path));

/** As little as a vocabulary of 151,936 allows in a test: every token costs a product with all of it. */
const onWikipedia = [
  ['--corpus.input', wikipedia, '--corpus.maxDocuments', '60'],
  ['--sft.phases', '[{ name: all, groups: [k1], steps: 2 }]'],
  ['--rl.steps', '1', '--rl.groupsPerStep', '1', '--rl.samplesPerTask', '2'],
  ['--evaluation.checkpoints', '[rl]', '--evaluation.randomTasksPerGroup', '0'],
].flat();

describe.skipIf(missing !== undefined)(
  `a run on Wikipedia with Qwen2.5's tokenizer, ${missing === undefined ? 'both there' : `no ${missing}`}`,
  () => {
    test('goes from the dump to the report', async () => {
      await writeTinyModelFolder(join(folder, 'qwen'), loadTokenizer(qwen));
      const args = ['run', '--config', 'config.yaml', '--run', 'wikipedia', '--model', 'qwen'];
      const { status, stderr } = runCommand(folder, [...args, ...onWikipedia]);
      expect(status, stderr).toBe(0);
      const { evaluation } = runReportSchema.parse(readJson('wikipedia/report.json'));
      expect(Object.keys(evaluation)).toEqual(['rl']);
      expect(sumOf(metricsOf('sft', 'wikipedia'), 'train/label_tokens')).toBeGreaterThan(0);
      expect(sumOf(metricsOf('rl', 'wikipedia'), 'response_length/mean')).toBeGreaterThan(0);
    }, 300_000);
  },
);

function readJson(file: string): unknown {
  return JSON.parse(readFileSync(join(folder, file), 'utf8'));
}

const tokenizer = (): Tokenizer => loadTokenizer(join(folder, 'start/tokenizer.json'));

/** What sft makes of the trajectories. */
async function chatExamples(): Promise<TrainingExample[]> {
  const template = readChatTemplate(join(folder, 'start'));
  if (template === null) throw new Error('expected a chat template');
  const codec = createChatCodec({
    tokenizer: tokenizer(),
    template,
    toolCalls: 'tags',
    answerForm: 'slots',
  });
  const path = (file: string): string => join(folder, 'whole', file);
  const tasks = await readAllJsonl(path('tasks/train.jsonl'), taskSchema);
  const taskOf = new Map(tasks.map((task) => [task.id, task]));
  const trajectories = await readAllJsonl(
    path('trajectories/trajectories.jsonl'),
    trajectorySchema,
  );
  return trajectories
    .filter(({ group }) => group === 'k1' || group === 'k2')
    .map((trajectory) =>
      trajectoryToExample(trajectory, taskOf.get(trajectory.taskId) as Task, tokenizer(), codec),
    );
}

function metricsOf(stage: string, run = 'whole'): ReturnType<typeof readMetrics> {
  return readMetrics(join(folder, run, stage));
}

function sumOf(rows: readonly Record<string, number | string>[], key: string): number {
  return rows.reduce((sum, row) => sum + Number(row[key]), 0);
}

/** An adapter names the folder of its base model, which is another one in another run. */
function withoutNames(stage: string): Record<string, string> {
  const { 'adapter/adapter_config.json': _, ...hashes } = hashesOf(stage);
  return hashes;
}
