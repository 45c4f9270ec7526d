// What the benches of Qwen2.5-0.5B's shape share: opening the model, saving what was trained with scores of it, rows of memory.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { memoryNeeds, type Mode, type NeedsQuestion } from '../apps/cli/src/plan/memory-needs.ts';
import { createNativeModel } from '../packages/engine/src/index.ts';
import { qwen25HalfBillion } from '../packages/model/src/conformance/shapes.ts';
import {
  loraTargets,
  openModelFolder,
  parameterCount,
  saveAdapterFolder,
  saveModelFolder,
  type LanguageModel,
  type PackedBatch,
} from '../packages/model/src/index.ts';
import { loadTokenizer } from '../packages/tokenizer/src/index.ts';
import { printRow } from './search-rows.ts';

export type Dtype = NeedsQuestion['dtype'];

export interface Setting {
  readonly mode: Mode;
  readonly dtype: Dtype;
  readonly threads: number;
}

const RANK = 8;

/** Tokens of a prompt after which some of the vocabulary is scored, and how many of it. */
const PROMPT_TOKENS = 15;
const CANDIDATES = 64;

const TEXT =
  'Anarchism is a political philosophy and movement that is against all forms of authority and seeks ' +
  'to abolish the institutions it claims maintain unnecessary coercion and hierarchy. ';

/** @throws {Error} The arguments are none of these modes and dtypes. */
export function checkedSetting(
  mode: string,
  { dtype, threads }: { readonly dtype: string; readonly threads: string },
): Setting {
  if (mode !== 'full' && mode !== 'lora') throw new Error('expected full or lora');
  if (dtype !== 'float32' && dtype !== 'bfloat16') throw new Error('expected float32 or bfloat16');
  return { mode, dtype, threads: Number(threads) };
}

/** The model of a folder that `bench/full-shape.ts make` made; with a new adapter where the mode is `lora`. */
export async function openFullShape(
  folder: string,
  { mode, dtype, threads }: Setting,
): Promise<LanguageModel> {
  const source = openModelFolder(folder);
  const lora = { rank: RANK, alpha: 2 * RANK, dropout: 0, targets: loraTargets };
  try {
    return await createNativeModel({
      config: source.config,
      weights: source.weights,
      threads,
      dtype,
      ...(mode === 'lora' ? { adapter: { config: lora, seed: 1 } } : {}),
    });
  } finally {
    source.close();
  }
}

/** Ids of the folder's own tokenizer. */
export function textTokens(folder: string, length: number): Int32Array {
  return loadTokenizer(join(folder, 'tokenizer.json')).encode(TEXT.repeat(20)).slice(0, length);
}

/** One sequence; every token but the first is a label. */
export function wholeSequence(tokens: Int32Array): PackedBatch {
  const lossMask = new Uint8Array(tokens.length).fill(1, 1);
  return { tokens, offsets: Int32Array.of(0, tokens.length), lossMask };
}

/**
 * Leaves `model/` or, of an adapter, `adapter/`, and `scores.json` for bench/peers/check_checkpoint.py: log-probability and
 * entropy at every token of a text, and log-probabilities of tokens across the vocabulary after its first ones.
 */
export async function saveForPeer(
  model: LanguageModel,
  folder: string,
  target: string,
): Promise<void> {
  mkdirSync(target, { recursive: true });
  if (model.adapter === undefined) {
    const options = { from: folder, dtype: 'F32', maxShardBytes: 1e9 } as const;
    await saveModelFolder(join(target, 'model'), model, options);
  } else {
    const trained = { config: model.adapter.config, weights: await model.adapter.weights() };
    await saveAdapterFolder(join(target, 'adapter'), trained, { baseModel: folder });
  }
  const tokens = textTokens(folder, 48);
  const { logProbs, entropies } = await model.score(wholeSequence(tokens));
  const scores = {
    tokens: [...tokens],
    logProbs: [...logProbs],
    entropies: [...entropies],
    after: await scoreCandidates(model, tokens.slice(0, PROMPT_TOKENS)),
  };
  writeFileSync(join(target, 'scores.json'), JSON.stringify(scores));
}

async function scoreCandidates(
  model: LanguageModel,
  prompt: Int32Array,
): Promise<{ promptTokens: number; candidates: number[]; logProbs: number[] }> {
  const stride = Math.floor(model.config.vocabularySize / CANDIDATES);
  const candidates = Array.from({ length: CANDIDATES }, (_, i) => i * stride);
  const length = prompt.length + 1;
  const { logProbs } = await model.score({
    tokens: Int32Array.from(candidates.flatMap((candidate) => [...prompt, candidate])),
    offsets: Int32Array.from({ length: CANDIDATES + 1 }, (_, i) => i * length),
    lossMask: Uint8Array.from({ length: CANDIDATES * length }, (_, t) =>
      t % length === prompt.length ? 1 : 0,
    ),
  });
  return {
    promptTokens: prompt.length,
    candidates,
    logProbs: candidates.map((_, i) => logProbs[(i + 1) * length - 1] ?? NaN),
  };
}

/** A step: how it runs, and what it works on. */
export interface Step {
  readonly setting: Setting;
  readonly sequenceTokens: number;
  readonly batchTokens: number;
  /** Sequences sampled at once. */
  readonly sampled: number;
}

interface Details {
  readonly command: string;
  readonly [detail: string]: unknown;
}

/** Prints the process's peak memory so far beside what the planner says of such steps. */
export function printPeak(what: string, step: Step, details: Details): void {
  const { mode, dtype, threads } = step.setting;
  const need = memoryNeeds({
    config: qwen25HalfBillion,
    sequenceTokens: [step.sequenceTokens],
    microBatchTokens: step.batchTokens,
    concurrency: step.sampled,
    rank: RANK,
    threads,
    dtype,
    memoryBytes: 0,
  }).find((candidate) => candidate.mode === mode);
  const planned = { bytes: need?.totalBytes ?? NaN, floorIs: 'what the planner says' };
  printBeside(what, { ...planned, dtype }, { tokens: step.batchTokens, ...details });
}

/** Prints the process's peak memory so far beside the size of the weights. */
export function printPeakOfWeights(what: string, dtype: Dtype, details: Details): void {
  const bytes = 4 * parameterCount(qwen25HalfBillion);
  printBeside(what, { bytes, floorIs: '4 bytes a weight', dtype }, details);
}

function printBeside(
  what: string,
  {
    bytes,
    floorIs,
    dtype,
  }: { readonly bytes: number; readonly floorIs: string; readonly dtype: Dtype },
  { command, ...details }: Details,
): void {
  const shape = dtype === 'bfloat16' ? 'full shape 0.5B in bfloat16' : 'full shape 0.5B';
  const row = {
    case: `${shape}: ${what}`,
    unit: 'GB, peak resident memory of the process',
    measured: inGigabytes(process.resourceUsage().maxRSS * 1024),
    floor: inGigabytes(bytes),
    floorIs,
    ...details,
  };
  printRow(row, command);
}

function inGigabytes(bytes: number): number {
  return Number((bytes / 1e9).toFixed(3));
}

/** Largest difference, in nats. */
export function largestChange(before: Float32Array, after: Float32Array): number {
  return after.reduce((most, x, t) => Math.max(most, Math.abs(x - (before[t] ?? NaN))), 0);
}
