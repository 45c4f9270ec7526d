// Bench of a training step, and of SFT and DAPO through the trainers, on the backends that are here: native, and tfjs on
// cpu, wasm and node.
//
//   NODE_PATH=… node bench/tfjs-backends.ts >> bench/results/tfjs-backends.jsonl
//
// NODE_PATH as scripts/build-tfjs-node.sh prints it. Rounds are interleaved and the CPU time of all threads is
// taken, because other work on the machine then counts less. Losses are compared first.
import assert from 'node:assert';
import { execFileSync } from 'node:child_process';
import { cpus, loadavg } from 'node:os';
import { UnavailableError } from '../packages/core/src/index.ts';
import { createNativeModel } from '../packages/engine/src/index.ts';
import {
  createTfjsModel,
  loadTfjsBackend,
  parameterCount,
  TFJS_BACKENDS,
  type DecoderConfig,
  type LanguageModel,
} from '../packages/model/src/index.ts';
import { constantSchedule, dapo, sft, type MetricsRow } from '../packages/train/src/index.ts';
import { playCoins } from './coin-game.ts';

const config: DecoderConfig = {
  vocabularySize: 1024,
  width: 128,
  layers: 4,
  heads: 4,
  keyValueHeads: 2,
  headWidth: 32,
  feedForwardWidth: 352,
  ropeTheta: 10_000,
  normEpsilon: 1e-6,
  maxPositions: 512,
  attentionBias: true,
  tiedEmbeddings: true,
};
const TOKENS = 64;
const NEW_TOKENS = 8;
const SAMPLES = 4;
const ROUNDS = 2;

const models = new Map<string, LanguageModel>([
  ['native', await createNativeModel({ config, seed: 1 })],
]);
for (const name of TFJS_BACKENDS) {
  try {
    models.set(
      name,
      await createTfjsModel({ config, seed: 1, backend: await loadTfjsBackend(name) }),
    );
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error;
    console.error(error.message);
  }
}

const tokens = Int32Array.from({ length: TOKENS }, (_, t) => (t * 7919) % config.vocabularySize);
const lossMask = new Uint8Array(TOKENS).fill(1).fill(0, 0, 1);
const batch = { tokens, offsets: Int32Array.of(0, TOKENS), lossMask };
const seconds = new Map<string, number[]>();
const losses = new Map<string, number>();
for (let round = 0; round <= ROUNDS; round++) {
  for (const [name, model] of models) {
    const before = process.cpuUsage();
    const { loss } = await model.accumulate(batch, {
      type: 'cross-entropy',
      scale: 1 / (TOKENS - 1),
    });
    await model.step({ learningRate: 1e-3, maxGradientNorm: 1 });
    const { user, system } = process.cpuUsage(before);
    if (round > 0) seconds.set(name, [...(seconds.get(name) ?? []), (user + system) / 1e6]);
    losses.set(name, loss);
  }
}
const expected = losses.get('native') as number;
for (const [name, loss] of losses) assert(Math.abs(loss - expected) < 1e-4, `${name}: ${loss}`);

const size = `${(parameterCount(config) / 1e6).toFixed(1)} M parameters`;
const steps = [...models].map(([name, model]) => ({
  name,
  device: model.device,
  seconds: median(seconds.get(name) as number[]),
  metrics: { loss: losses.get(name) },
}));
printRows(`training step of ${TOKENS} tokens, ${size}`, steps);
printRows(`2 SFT steps of ${TOKENS} tokens, ${size}`, await runEach(trainSft));
printRows(
  `DAPO step of ${SAMPLES} samples of ${TOKENS} + ${NEW_TOKENS} tokens, ${size}`,
  await runEach(trainDapo),
);
for (const model of models.values()) await model.dispose();

type Metrics = Readonly<Record<string, unknown>>;

interface Measurement {
  readonly name: string;
  readonly device: string;
  /** CPU seconds. */
  readonly seconds: number;
  readonly metrics: Metrics;
}

/** The same work on every backend; what comes out has to be the same but for rounding. */
async function runEach(work: (model: LanguageModel) => Promise<Metrics>): Promise<Measurement[]> {
  const measurements: Measurement[] = [];
  for (const [name, model] of models) {
    const before = process.cpuUsage();
    const metrics = await work(model);
    const { user, system } = process.cpuUsage(before);
    measurements.push({ name, device: model.device, seconds: (user + system) / 1e6, metrics });
  }
  const reference = Number(measurements[0]?.metrics['gradientNorm']);
  for (const { name, metrics } of measurements) {
    const norm = Number(metrics['gradientNorm']);
    assert(Math.abs(norm - reference) < 1e-2 * reference, `${name}: gradient norm ${norm}`);
  }
  return measurements;
}

async function trainSft(model: LanguageModel): Promise<Metrics> {
  const example = { ids: [...tokens], mask: [...lossMask] };
  let last: MetricsRow = {};
  await sft({
    model,
    phases: [{ name: 'all', examples: [example], steps: 2 }],
    batchTokens: TOKENS,
    microBatchTokens: TOKENS,
    seed: 1,
    schedule: constantSchedule(1e-3),
    onStep: (row) => void (last = row),
  });
  return { loss: last['train/loss'], gradientNorm: last['train/grad_norm'] };
}

async function trainDapo(model: LanguageModel): Promise<Metrics> {
  let last: MetricsRow = {};
  await dapo({
    model,
    tasks: ['a', 'b', 'c', 'd'].map((id) => ({ id, group: 'coin', prompt: tokens })),
    collect: playCoins(model, { sequences: SAMPLES, newTokens: NEW_TOKENS }),
    config: {
      steps: 1,
      samplesPerTask: SAMPLES,
      groupsPerStep: 1,
      miniBatches: 1,
      microBatchTokens: SAMPLES * (TOKENS + NEW_TOKENS),
      maximumLagSteps: 0,
      seed: 1,
    },
    schedule: constantSchedule(1e-3),
    onStep: (row) => void (last = row),
  });
  assert.equal(last['actor/updates'], 1);
  return {
    gradientNorm: last['actor/grad_norm'],
    ratioDeviation: last['rollout/max_ratio_deviation'],
  };
}

function printRows(what: string, measurements: readonly Measurement[]): void {
  const native = measurements[0]?.seconds ?? NaN;
  for (const { name, device, seconds: measured, metrics } of measurements) {
    const row = {
      case: `${what}, ${name}`,
      unit: 'CPU seconds',
      measured: Number(measured.toFixed(4)),
      floor: Number(native.toFixed(4)),
      floorIs: 'the native engine in the same run',
      ratio: Number((measured / native).toFixed(1)),
      ...metrics,
      peer: null,
      device,
      machine: `${cpus()[0]?.model}, ${cpus().length} cores, Node ${process.version}`,
      loadAverage: Number(loadavg()[0]?.toFixed(1)),
      commit: execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim(),
      command: 'node bench/tfjs-backends.ts',
      date: new Date().toISOString().slice(0, 10),
    };
    console.log(JSON.stringify(row));
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] as number;
}
