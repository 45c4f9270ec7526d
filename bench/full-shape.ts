// A random-weight checkpoint of Qwen2.5-0.5B's shape: makes it, loads it, samples, trains a step, saves; peak memory of each.
//
// Usage: node bench/full-shape.ts make <folder> <tokenizer.json>
//        node bench/full-shape.ts sample|full|lora <folder> <output folder> [--tokens 64] [--threads 2]
// Each stage is a process of its own, so that its peak memory is its own. `full` and `lora` leave
// `scores.json` beside the saved model for bench/peers/check_checkpoint.py, which compares with transformers.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { streamKey } from '../packages/core/src/index.ts';
import { createNativeModel } from '../packages/engine/src/index.ts';
import { qwen25HalfBillion as config } from '../packages/model/src/conformance/shapes.ts';
import {
  loraTargets,
  openModelFolder,
  parameterCount,
  saveAdapterFolder,
  saveModelFolder,
  type LanguageModel,
  type PackedBatch,
} from '../packages/model/src/index.ts';
import { parseTokenizer } from '../packages/tokenizer/src/index.ts';
import { randomWeights } from './random-weights.ts';
import { printRow } from './search-rows.ts';

/** Several shards of the 0.99 GB in BF16. */
const MAX_SHARD_BYTES = 4e8;

const text =
  'Anarchism is a political philosophy and movement that is against all forms of authority and seeks ' +
  'to abolish the institutions it claims maintain unnecessary coercion and hierarchy. ';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    tokens: { type: 'string', default: '64' },
    threads: { type: 'string', default: '2' },
  },
});
const [stage = '', folder = '', target = ''] = positionals;
const modelBytes = 4 * parameterCount(config);

if (stage === 'make') await make();
else if (stage === 'sample') await sample();
else if (stage === 'full' || stage === 'lora') await train(stage);
else throw new Error('expected make, sample, full or lora');

async function make(): Promise<void> {
  const source = randomWeights(config);
  const model = {
    config,
    weights: () => Promise.reject(new Error('pieces only')),
    async *weightPieces(name: string) {
      yield* source.pieces(name);
    },
  };
  await saveModelFolder(folder, model, {
    dtype: 'BF16',
    maxShardBytes: MAX_SHARD_BYTES,
    tokenizerJson: readFileSync(target, 'utf8'),
  });
  report('make BF16');
}

async function sample(): Promise<void> {
  const model = await load();
  report('load BF16');
  const sampler = model.sampler({ maxSequences: 1, maxContextTokens: 128 });
  const sequence = sampler.open(batchOf(16).tokens, streamKey('full-shape'));
  const started = performance.now();
  const { tokens } = await sequence.generate({ maxTokens: 8, stop: [], temperature: 1, turn: 0 });
  const seconds = (performance.now() - started) / 1000;
  await sampler.close();
  report('sample 16 + 8 tokens', { tokens: [...tokens], seconds });
  await model.dispose();
}

async function train(kind: 'full' | 'lora'): Promise<void> {
  const batch = batchOf(Number(values.tokens));
  const labels = batch.lossMask.reduce((sum, flag) => sum + flag, 0);
  const model = await load(kind);
  const before = await model.score(batch);
  const started = performance.now();
  const { loss } = await model.accumulate(batch, { type: 'cross-entropy', scale: 1 / labels });
  const { gradientNorm } = await model.step({ learningRate: 1e-3, maxGradientNorm: 1 });
  const seconds = (performance.now() - started) / 1000;
  const after = await model.score(batch);
  const moved = after.logProbs.some((logProb, t) => logProb !== before.logProbs[t]);
  report(`${kind} step of ${batch.tokens.length} tokens`, { loss, gradientNorm, seconds, moved });
  mkdirSync(target, { recursive: true });
  await save(kind, model);
  const scores = { tokens: [...batch.tokens], logProbs: [...after.logProbs] };
  writeFileSync(join(target, 'scores.json'), JSON.stringify(scores));
  report(`${kind} saved`);
  await model.dispose();
}

async function save(kind: 'full' | 'lora', model: LanguageModel): Promise<void> {
  const { adapter } = model;
  const options = { from: folder, dtype: 'F32', maxShardBytes: 1e9 } as const;
  if (kind === 'full' || adapter === undefined) {
    await saveModelFolder(join(target, 'model'), model, options);
    return;
  }
  const trained = { config: adapter.config, weights: await adapter.weights() };
  await saveAdapterFolder(join(target, 'adapter'), trained, { baseModel: folder });
}

async function load(kind: 'full' | 'lora' = 'full'): Promise<LanguageModel> {
  const source = openModelFolder(folder);
  const adapter = { config: { rank: 8, alpha: 16, dropout: 0, targets: loraTargets }, seed: 1 };
  try {
    return await createNativeModel({
      config: source.config,
      weights: source.weights,
      threads: Number(values.threads),
      ...(kind === 'lora' ? { adapter } : {}),
    });
  } finally {
    source.close();
  }
}

/** One sequence of the tokenizer's own ids; every token but the first is a label. */
function batchOf(length: number): PackedBatch {
  const path = join(folder, 'tokenizer.json');
  const tokenizer = parseTokenizer(readFileSync(path, 'utf8'), path);
  const tokens = tokenizer.encode(text.repeat(20)).slice(0, length);
  const lossMask = new Uint8Array(length).fill(1, 1);
  return { tokens, offsets: Int32Array.of(0, length), lossMask };
}

function report(what: string, more: Readonly<Record<string, unknown>> = {}): void {
  const peakBytes = process.resourceUsage().maxRSS * 1024;
  const row = {
    case: `full shape 0.5B: ${what}`,
    unit: 'GB, peak resident memory of the process',
    measured: Number((peakBytes / 1e9).toFixed(3)),
    floor: Number((modelBytes / 1e9).toFixed(3)),
    floorIs: '4 bytes a weight',
    ...more,
  };
  printRow(row, `node bench/full-shape.ts ${process.argv.slice(2, 3).join(' ')}`);
}
