// A random-weight checkpoint of Qwen2.5-0.5B's shape: makes it, loads it, samples, trains a step, saves; peak memory of each.
//
// Usage: node bench/full-shape.ts make <folder> <tokenizer.json>
//        node bench/full-shape.ts sample <folder> [--dtype float32] [--threads 2]
//        node bench/full-shape.ts full|lora <folder> <output folder> [--tokens 64] [--dtype float32] [--threads 2]
// Each stage is a process of its own, so that its peak memory is its own. `full` and `lora` leave what
// bench/peers/check_checkpoint.py compares with transformers.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { streamKey } from '../packages/core/src/index.ts';
import { qwen25HalfBillion as config } from '../packages/model/src/conformance/shapes.ts';
import { saveModelFolder } from '../packages/model/src/index.ts';
import {
  checkedSetting,
  largestChange,
  openFullShape,
  printPeak,
  printPeakOfWeights,
  saveForPeer,
  textTokens,
  wholeSequence,
  type Setting,
} from './full-shape-model.ts';
import { randomWeights } from './random-weights.ts';

/** Several shards of the 0.99 GB in BF16. */
const MAX_SHARD_BYTES = 4e8;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    tokens: { type: 'string', default: '64' },
    dtype: { type: 'string', default: 'float32' },
    threads: { type: 'string', default: '2' },
  },
});
const [stage = '', folder = '', target = ''] = positionals;
const command = `node bench/full-shape.ts ${stage}`;

if (stage === 'make') await make();
else if (stage === 'sample') await sample(checkedSetting('full', values));
else await train(checkedSetting(stage, values));

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
  printPeakOfWeights('make BF16', 'float32', { command });
}

async function sample(setting: Setting): Promise<void> {
  const model = await openFullShape(folder, setting);
  printPeakOfWeights('load BF16', setting.dtype, { command });
  const sampler = model.sampler({ maxSequences: 1, maxContextTokens: 128 });
  const sequence = sampler.open(textTokens(folder, 16), streamKey('full-shape'));
  const started = performance.now();
  const { tokens } = await sequence.generate({ maxTokens: 8, stop: [], temperature: 1, turn: 0 });
  const seconds = (performance.now() - started) / 1000;
  await sampler.close();
  const details = { command, tokens: [...tokens], seconds };
  printPeakOfWeights('sample 16 + 8 tokens', setting.dtype, details);
  await model.dispose();
}

async function train(setting: Setting): Promise<void> {
  const batch = wholeSequence(textTokens(folder, Number(values.tokens)));
  const { length } = batch.tokens;
  const size = { setting, sequenceTokens: length, batchTokens: length, sampled: 0 };
  const model = await openFullShape(folder, setting);
  const before = await model.score(batch);
  const started = performance.now();
  const { loss } = await model.accumulate(batch, {
    type: 'cross-entropy',
    scale: 1 / (length - 1),
  });
  const { gradientNorm } = await model.step({ learningRate: 1e-3, maxGradientNorm: 1 });
  const seconds = (performance.now() - started) / 1000;
  const after = await model.score(batch);
  const changed = largestChange(before.logProbs, after.logProbs);
  const step = { command, loss, gradientNorm, seconds, changed };
  printPeak(`${setting.mode} step of ${length} tokens`, size, step);
  await saveForPeer(model, folder, target);
  printPeak(`${setting.mode} saved`, size, { command });
  await model.dispose();
}
