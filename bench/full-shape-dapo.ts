// DAPO steps at Qwen2.5-0.5B's shape through the trainer itself: memory beside the planner's figure, resumption, what is saved.
//
// Usage: node bench/full-shape-dapo.ts full|lora <model folder> <output folder> [--steps 1] [--dtype float32] [--threads 2]
// The folder is one of `bench/full-shape.ts make`. Called again with more steps it resumes from its checkpoint. It leaves
// what bench/peers/check_checkpoint.py compares with transformers.
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadTokenizer } from '../packages/tokenizer/src/index.ts';
import { constantSchedule, dapo, latestCheckpoint } from '../packages/train/src/index.ts';
import { playCoins, type CoinTask } from './coin-game.ts';
import {
  checkedSetting,
  largestChange,
  openFullShape,
  printPeak,
  saveForPeer,
  textTokens,
  wholeSequence,
} from './full-shape-model.ts';

const SAMPLES = 4;
const NEW_TOKENS = 6;
const PROMPT = 'Which river runs through the capital of France, and where does it meet the sea?';

/** Metrics of a step that go into its row. */
const REPORTED = [
  'actor/updates',
  'actor/grad_norm',
  'actor/kl_to_reference',
  'rollout/max_ratio_deviation',
  'timing_s/rollout',
  'timing_s/update',
];

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    steps: { type: 'string', default: '1' },
    dtype: { type: 'string', default: 'float32' },
    threads: { type: 'string', default: '2' },
  },
});
const [mode = '', folder = '', target = ''] = positionals;
const setting = checkedSetting(mode, values);
const checkpoints = join(target, 'checkpoints');
const isResumed = latestCheckpoint(checkpoints) !== undefined;

const prompt = loadTokenizer(join(folder, 'tokenizer.json')).encode(PROMPT);
const tasks: CoinTask[] = ['a', 'b', 'c', 'd'].map((id) => ({ id, group: 'coin', prompt }));
const sequenceTokens = prompt.length + NEW_TOKENS;
const batchTokens = SAMPLES * sequenceTokens;
const step = { setting, sequenceTokens, batchTokens, sampled: SAMPLES };
const model = await openFullShape(folder, setting);
const text = wholeSequence(textTokens(folder, 48));
const before = await model.score(text);
await dapo({
  model,
  tasks,
  collect: playCoins(model, { sequences: SAMPLES, newTokens: NEW_TOKENS }),
  config: {
    steps: Number(values.steps),
    samplesPerTask: SAMPLES,
    groupsPerStep: 1,
    miniBatches: 1,
    microBatchTokens: batchTokens,
    maximumLagSteps: 0,
    klCoefficient: setting.mode === 'lora' ? 0.01 : 0,
    seed: 1,
  },
  // Far above a real one, so that one step shows in every token.
  schedule: constantSchedule(1e-3),
  checkpoints: { folder: checkpoints, everySteps: 1, keep: 1 },
  onStep: (row) => {
    const metrics = REPORTED.flatMap((key) => (key in row ? [[key, row[key]]] : []));
    report(`step ${row.step}`, Object.fromEntries(metrics));
  },
});
report('checkpoint saved');
const after = await model.score(text);
await saveForPeer(model, folder, target);
report('model saved', { changed: largestChange(before.logProbs, after.logProbs) });
await model.dispose();

function report(what: string, metrics: Readonly<Record<string, unknown>> = {}): void {
  const details = { ...metrics, command: `node bench/full-shape-dapo.ts ${setting.mode}` };
  printPeak(`DAPO ${setting.mode}, ${what}${isResumed ? ', resumed' : ''}`, step, details);
}
