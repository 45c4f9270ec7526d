// The memory planner against what training takes: DAPO and SFT at several shapes and settings, each in a process of its own.
//
//   node bench/memory-plan.ts qwen2.5_tokenizer.json >> bench/results/models.jsonl
//
// Weights are random. What is measured is the peak resident memory of the whole process, which has Qwen2.5's
// tokenizer in memory, as a run has, and does an SFT step and then a DAPO step on batches of the same size: the first fills
// the logits' chunk with labels, the second samples while all of that is still held.
import assert from 'node:assert';
import { execFileSync } from 'node:child_process';
import { memoryNeeds, type Mode } from '../apps/cli/src/plan/memory-needs.ts';
import { createNativeModel } from '../packages/engine/src/index.ts';
import { qwen25HalfBillion } from '../packages/model/src/conformance/shapes.ts';
import { loraTargets, parameterCount, type DecoderConfig } from '../packages/model/src/index.ts';
import { loadTokenizer } from '../packages/tokenizer/src/index.ts';
import { constantSchedule, dapo, sft } from '../packages/train/src/index.ts';
import { playCoins } from './coin-game.ts';
import { randomWeights } from './random-weights.ts';
import { printRow } from './search-rows.ts';

interface Setting {
  readonly name: string;
  readonly config: DecoderConfig;
  readonly mode: Mode;
  readonly promptTokens: number;
  readonly samples: number;
}

const TEXT =
  'The Seine runs through Paris and meets the sea at Le Havre, 777 kilometres from its source. ';
const NEW_TOKENS = 4;
const RANK = 16;
const THREADS = 2;
const narrow: DecoderConfig = {
  ...qwen25HalfBillion,
  vocabularySize: 32_000,
  width: 512,
  layers: 8,
  heads: 8,
  keyValueHeads: 4,
  feedForwardWidth: 1536,
  attentionBias: false,
  queryKeyNorm: true,
  tiedEmbeddings: false,
};

// Each is led by something else: the vocabulary, keys and values of many samples, activations of long ones.
const SETTINGS: readonly Setting[] = [
  {
    name: 'Qwen2.5-0.5B with 4 layers, full, short',
    config: { ...qwen25HalfBillion, layers: 4 },
    mode: 'full',
    promptTokens: 60,
    samples: 4,
  },
  {
    name: 'Qwen2.5-0.5B with 4 layers, adapter, 16 samples',
    config: { ...qwen25HalfBillion, layers: 4 },
    mode: 'lora',
    promptTokens: 124,
    samples: 16,
  },
  {
    name: 'a Qwen3 of 58 M, full, long',
    config: narrow,
    mode: 'full',
    promptTokens: 508,
    samples: 4,
  },
];

const [tokenizerPath = '', index] = process.argv.slice(2);
if (index === undefined) {
  for (const number of SETTINGS.keys()) {
    const child = [import.meta.filename, tokenizerPath, String(number)];
    process.stdout.write(execFileSync(process.execPath, child, { encoding: 'utf8' }));
  }
} else {
  const setting = SETTINGS[Number(index)];
  assert(setting !== undefined, `expected a setting in 0..${SETTINGS.length - 1}`);
  await measure(setting);
}

async function measure({ name, config, mode, promptTokens, samples }: Setting): Promise<void> {
  const adapter = {
    config: { rank: RANK, alpha: 2 * RANK, dropout: 0, targets: loraTargets },
    seed: 1,
  };
  const model = await createNativeModel({
    config,
    weights: randomWeights(config),
    threads: THREADS,
    ...(mode === 'lora' ? { adapter } : {}),
  });
  const sequenceTokens = promptTokens + NEW_TOKENS;
  const batchTokens = samples * sequenceTokens;
  const tokenizer = loadTokenizer(tokenizerPath);
  const ids = [...tokenizer.encode(TEXT.repeat(100))]
    .slice(0, sequenceTokens)
    .map((id) => id % config.vocabularySize);
  const schedule = constantSchedule(1e-5);
  const example = { ids, mask: ids.map((_, t) => (t === 0 ? 0 : 1)) };
  await sft({
    model,
    phases: [{ name: 'all', examples: Array.from({ length: samples }, () => example), steps: 1 }],
    batchTokens,
    microBatchTokens: batchTokens,
    seed: 1,
    schedule,
  });
  const prompt = Int32Array.from(ids.slice(0, promptTokens));
  await dapo({
    model,
    tasks: ['a', 'b', 'c', 'd'].map((id) => ({ id, group: 'coin', prompt })),
    collect: playCoins(model, { sequences: samples, newTokens: NEW_TOKENS }),
    config: {
      steps: 1,
      samplesPerTask: samples,
      groupsPerStep: 1,
      miniBatches: 1,
      microBatchTokens: batchTokens,
      maximumLagSteps: 0,
      seed: 1,
    },
    schedule,
  });
  assert.equal(model.version, 2, 'expected two updates');
  const [need] = memoryNeeds({
    config,
    sequenceTokens: [sequenceTokens],
    microBatchTokens: batchTokens,
    concurrency: samples,
    rank: RANK,
    threads: THREADS,
    dtype: 'float32',
    memoryBytes: 0,
  }).filter((candidate) => candidate.mode === mode);
  assert(need !== undefined);
  const row = {
    case: `memory plan: ${name}`,
    unit: 'GB, peak resident memory of the process',
    measured: Number(((process.resourceUsage().maxRSS * 1024) / 1e9).toFixed(3)),
    floor: Number((need.totalBytes / 1e9).toFixed(3)),
    floorIs: 'what the planner says',
    parameters: parameterCount(config),
    tokens: batchTokens,
  };
  printRow(row, 'node bench/memory-plan.ts');
  await model.dispose();
}
