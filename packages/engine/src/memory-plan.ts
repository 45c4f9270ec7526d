// How many bytes a model is going to hold, known before it is made and without the device that it is for.
import { InputError } from '@masksearch/core';
import {
  checkDecoderConfig,
  checkLoraConfig,
  type DecoderConfig,
  type LoraConfig,
} from '@masksearch/model';
import {
  callNativeSync,
  loadBinding,
  type NativeDtype,
  type NativeMemoryPlan,
} from '@masksearch/native-engine';

/** What the model will be used for. What is left out takes no memory. */
export interface MemoryUse {
  /** Threads of the engine. Default: 1. */
  readonly threads?: number;
  /** Tokens of the largest batch that is accumulated. */
  readonly batchTokens?: number;
  /** Tokens of the longest sequence in it. Default: `batchTokens`. */
  readonly longestSequence?: number;
  /** Sequences that one sampler keeps. */
  readonly sequences?: number;
  /** Tokens of each of them at most. */
  readonly contextTokens?: number;
  /** What matrices and activations are stored in. Default: `float32` on the CPU; a GPU knows `bfloat16` alone. */
  readonly dtype?: NativeDtype;
  /** Where it will run. Default: `cpu`. */
  readonly device?: 'cpu' | 'cuda';
  /**
   * Only with device `cuda`, and needed there: bytes that the model may take, as `cuda.memoryBytes`. Layers keep what
   * that has room for and compute the rest again; where it has room for nothing, the plan is the least that would do.
   */
  readonly memoryBytes?: number;
  /** With an adapter, it alone has gradients and moments. */
  readonly lora?: LoraConfig;
}

/** Bytes by what holds them. */
export type MemoryPlan = NativeMemoryPlan;

const LABELS: Readonly<Record<keyof MemoryPlan, string>> = {
  weights: 'weights',
  gradients: 'gradients',
  moments: "AdamW's moments",
  packed: 'matrices in the kernels’ order',
  activations: 'activations of a pass',
  lossHead: 'logits of a chunk',
  keyValues: "the sampler's keys and values",
  scratch: 'scratch',
  total: 'total',
};

/**
 * The bytes that buffers of a model will hold at most; on the CPU tested to be within a percent of what they do hold,
 * on a GPU those of the one slab.
 * @throws {ConfigError} The config describes no decoder, or the adapter is none.
 * @throws {InputError} A number is no integer >= 0, `threads` is not in 1..1024, or the device does not know `dtype` or
 *   takes no such decoder.
 * @throws {UnavailableError} The addon is not built.
 */
export function planMemory(config: DecoderConfig, use: MemoryUse): MemoryPlan {
  checkDecoderConfig(config, 'planMemory');
  const given = {
    threads: use.threads ?? 1,
    batchTokens: use.batchTokens ?? 0,
    longestSequence: use.longestSequence ?? 0,
    sequences: use.sequences ?? 0,
    contextTokens: use.contextTokens ?? 0,
  };
  for (const [name, value] of Object.entries(given)) {
    if (!Number.isInteger(value) || value < 0 || value > 0x7fffffff) {
      throw new InputError(
        `planMemory: expected ${name} to be an integer >= 0, received ${value}.`,
      );
    }
  }
  if (given.threads < 1 || given.threads > 1024) {
    throw new InputError(`planMemory: expected threads in 1..1024, received ${given.threads}.`);
  }
  const { lora } = use;
  const nativeUse = { ...given, ...deviceUse(use) };
  if (lora !== undefined) checkLoraConfig(lora, 'planMemory');
  const nativeLora = lora && { ...lora, seed: 0 };
  const binding = loadBinding();
  return callNativeSync('planMemory', () => binding.planMemory(config, nativeUse, nativeLora));
}

function deviceUse({ device = 'cpu', dtype, memoryBytes }: MemoryUse) {
  if (device === 'cpu' && memoryBytes === undefined) return { dtype: dtype ?? 'float32' };
  if (device === 'cpu' || memoryBytes === undefined) {
    throw new InputError(
      `planMemory: expected memoryBytes with device 'cuda' alone, received ${memoryBytes} with '${device}'.`,
    );
  }
  if (!Number.isSafeInteger(memoryBytes) || memoryBytes < 1) {
    throw new InputError(
      `planMemory: expected memoryBytes to be a positive integer, received ${memoryBytes}.`,
    );
  }
  if (dtype !== undefined && dtype !== 'bfloat16') {
    throw new InputError(
      `planMemory: expected dtype bfloat16 on device 'cuda', received ${String(dtype)}.`,
    );
  }
  return { cudaMemoryBytes: memoryBytes };
}

/** The plan as lines for people, in MiB, without what is 0. */
export function formatMemoryPlan(plan: MemoryPlan): string {
  return (Object.keys(LABELS) as (keyof MemoryPlan)[])
    .filter((part) => plan[part] > 0)
    .map((part) => `${(plan[part] / 2 ** 20).toFixed(1).padStart(10)} MiB  ${LABELS[part]}`)
    .join('\n');
}
