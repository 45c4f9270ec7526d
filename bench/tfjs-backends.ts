// Bench of one training step and of sampling on the backends that are here: native, and tfjs on cpu, wasm and node.
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

const native = median(seconds.get('native') as number[]);
for (const [name, model] of models) {
  const measured = median(seconds.get(name) as number[]);
  console.log(
    JSON.stringify({
      case: `training step of ${TOKENS} tokens, ${(parameterCount(config) / 1e6).toFixed(1)} M parameters, ${name}`,
      unit: 'CPU seconds',
      measured: Number(measured.toFixed(4)),
      floor: Number(native.toFixed(4)),
      floorIs: 'the native engine in the same run',
      ratio: Number((measured / native).toFixed(1)),
      loss: losses.get(name),
      peer: null,
      device: model.device,
      machine: `${cpus()[0]?.model}, ${cpus().length} cores, Node ${process.version}`,
      loadAverage: Number(loadavg()[0]?.toFixed(1)),
      commit: execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim(),
      command: 'node bench/tfjs-backends.ts',
      date: new Date().toISOString().slice(0, 10),
    }),
  );
  await model.dispose();
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] as number;
}
