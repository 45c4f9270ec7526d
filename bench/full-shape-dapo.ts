// DAPO steps at Qwen2.5-0.5B's shape through the trainer itself: memory beside the planner's figure, and resumption.
//
// Usage: node bench/full-shape-dapo.ts full|lora <model folder> <output folder> [--steps 1] [--threads 2]
// The folder is one of `bench/full-shape.ts make`. Called again with more steps it resumes from its checkpoint.
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { memoryNeeds } from '../apps/cli/src/plan/memory-needs.ts';
import { createNativeModel } from '../packages/engine/src/index.ts';
import { loraTargets, openModelFolder, parameterCount } from '../packages/model/src/index.ts';
import { loadTokenizer } from '../packages/tokenizer/src/index.ts';
import { constantSchedule, dapo, latestCheckpoint } from '../packages/train/src/index.ts';
import { playCoins, type CoinTask } from './coin-game.ts';
import { printRow } from './search-rows.ts';

const RANK = 8;
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
    threads: { type: 'string', default: '2' },
  },
});
const [mode = '', folder = '', target = ''] = positionals;
if (mode !== 'full' && mode !== 'lora') throw new Error('expected full or lora');
const threads = Number(values.threads);
const checkpoints = join(target, `dapo-${mode}`);
const isResumed = latestCheckpoint(checkpoints) !== undefined;

const tokenizer = loadTokenizer(join(folder, 'tokenizer.json'));
const prompt = tokenizer.encode(PROMPT);
const tasks: CoinTask[] = ['a', 'b', 'c', 'd'].map((id) => ({ id, group: 'coin', prompt }));
const source = openModelFolder(folder);
const { config } = source;
const lora = { rank: RANK, alpha: 2 * RANK, dropout: 0, targets: loraTargets };
const model = await createNativeModel({
  config,
  weights: source.weights,
  threads,
  ...(mode === 'lora' ? { adapter: { config: lora, seed: 1 } } : {}),
});
source.close();

const sequenceTokens = prompt.length + NEW_TOKENS;
const batchTokens = SAMPLES * sequenceTokens;
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
    klCoefficient: mode === 'lora' ? 0.01 : 0,
    seed: 1,
  },
  schedule: constantSchedule(1e-5),
  checkpoints: { folder: checkpoints, everySteps: 1, keep: 1 },
  onStep: (row) => report({ ...row }),
});
report({ saved: true });
await model.dispose();

function report(metrics: Readonly<Record<string, unknown>>): void {
  const need = memoryNeeds({
    config,
    sequenceTokens: [sequenceTokens],
    microBatchTokens: batchTokens,
    concurrency: SAMPLES,
    rank: RANK,
    threads,
    dtype: 'float32',
    memoryBytes: 0,
  }).find((candidate) => candidate.mode === mode);
  const planned = (need?.totalBytes ?? NaN) / 1e9;
  const what = metrics['saved'] === true ? 'checkpoint saved' : `step ${String(metrics['step'])}`;
  const peak = (process.resourceUsage().maxRSS * 1024) / 1e9;
  printRow(
    {
      case: `full shape 0.5B: DAPO ${mode}, ${what}${isResumed ? ', resumed' : ''}`,
      unit: 'GB, peak resident memory of the process',
      measured: Number(peak.toFixed(3)),
      floor: Number(planned.toFixed(3)),
      floorIs: 'what the planner says',
      weights: Number(((4 * parameterCount(config)) / 1e9).toFixed(3)),
      tokens: batchTokens,
      ...Object.fromEntries(
        REPORTED.flatMap((key) => (key in metrics ? [[key, metrics[key]]] : [])),
      ),
    },
    `node bench/full-shape-dapo.ts ${mode}`,
  );
}
