// Makes a model on the native engine: what it is made of, on which device and in which type.
import { availableParallelism, homedir } from 'node:os';
import { join } from 'node:path';
import { InputError } from '@masksearch/core';
import {
  checkDecoderConfig,
  checkedAdapter,
  checkedSource,
  initializeWeights,
  type AdapterStart,
  type DecoderConfig,
  type ModelWeights,
} from '@masksearch/model';
import {
  callNative,
  cudaPluginPath,
  loadBinding,
  type NativeCuda,
  type NativeDtype,
} from '@masksearch/native-engine';
import { NativeLanguageModel } from './native-language-model.ts';

export interface NativeModelOptions {
  readonly config: DecoderConfig;
  /** Starting weights; without them `initializeWeights(config, seed)`. */
  readonly weights?: ModelWeights;
  /** Seed of random starting weights; default 0. */
  readonly seed?: number;
  /** Threads of the engine; results do not depend on it. Default: the cores available. */
  readonly threads?: number;
  /** A low-rank adapter: the weights are frozen, and the adapter alone is trained. */
  readonly adapter?: AdapterStart;
  /**
   * What matrices and activations are stored and multiplied in on the CPU; sums, norms, losses, master weights,
   * gradients and moments are float32 with either. Default: `float32`. A GPU knows `bfloat16` alone.
   */
  readonly dtype?: NativeDtype;
  /** Where it runs; nothing falls back to another device. Default: `cpu`. */
  readonly device?: 'cpu' | 'cuda';
  /** Only with device `cuda`. */
  readonly cuda?: CudaOptions;
}

/** How a model uses its GPU; see docs/engine.md. */
export interface CudaOptions {
  /** Device memory to take for everything, in bytes. Default: 85 % of what is free. */
  readonly memoryBytes?: number;
  /** Tokens that go through the layers together in training, at least one sequence. Default: 16384. */
  readonly passTokens?: number;
  /** Try cuBLASLt's algorithms for every new shape and keep the fastest. Default: true. */
  readonly tune?: boolean;
  /** Record work that comes again as CUDA graphs and replay it. Default: true. */
  readonly graphs?: boolean;
  /** File that remembers those choices. Default: `masksearch/products.txt` in the user's cache folder. */
  readonly cacheFile?: string;
}

/**
 * A decoder on the native engine, with a thread of its own. Dispose of it when done.
 * @throws {UnavailableError} The addon is not built, or device `cuda` lacks its plug-in, cuBLASLt or a GPU;
 *   the message names the fix.
 * @throws {ConfigError} The config describes no decoder.
 * @throws {InputError} The weights or the adapter's do not fit the config, `threads` is not in 1..1024, there is no such
 *   device, or it does not know `dtype`.
 */
export async function createNativeModel(options: NativeModelOptions): Promise<NativeLanguageModel> {
  const { config, seed = 0, threads = availableParallelism() } = options;
  checkDecoderConfig(config, 'createNativeModel');
  if (!Number.isInteger(threads) || threads < 1 || threads > 1024) {
    throw new InputError(`createNativeModel: expected threads in 1..1024, received ${threads}.`);
  }
  const binding = loadBinding();
  const weights = checkedSource(
    config,
    options.weights ?? initializeWeights(config, seed),
    'createNativeModel',
  );
  const adapter =
    options.adapter === undefined
      ? undefined
      : checkedAdapter(config, options.adapter, 'createNativeModel: adapter');
  const lora = adapter && { ...adapter.config, seed: adapter.seed };
  const cuda = nativeCuda(options);
  const dtype = checkedDtype(options);
  const created = await callNative('createNativeModel', () =>
    binding.createModel(config, threads, lora, cuda, dtype),
  );
  const model = new NativeLanguageModel(config, binding, { ...created, lora: adapter?.config });
  await model.loadWeights(weights);
  if (adapter !== undefined) await model.writeAdapter(adapter.weights);
  return model;
}

function checkedDtype({ device, dtype }: NativeModelOptions): NativeDtype | undefined {
  const known = device === 'cuda' ? ['bfloat16'] : ['float32', 'bfloat16'];
  if (dtype === undefined || known.includes(dtype)) return dtype;
  throw new InputError(
    `createNativeModel: expected dtype ${known.join(' or ')} on device '${device ?? 'cpu'}', received ${String(dtype)}.`,
  );
}

function nativeCuda(options: NativeModelOptions): NativeCuda | undefined {
  const { device = 'cpu', cuda = {} } = options;
  if (device === 'cpu') {
    if (options.cuda === undefined) return undefined;
    throw new InputError("createNativeModel: expected cuda only with device 'cuda', received it.");
  }
  if (device !== 'cuda') {
    throw new InputError(
      `createNativeModel: expected device 'cpu' or 'cuda', received '${String(device)}'.`,
    );
  }
  for (const name of ['memoryBytes', 'passTokens'] as const) {
    const value = cuda[name];
    if (value !== undefined && (!Number.isSafeInteger(value) || value < 1)) {
      throw new InputError(
        `createNativeModel: expected cuda.${name} to be a positive integer, received ${value}.`,
      );
    }
  }
  const { tune = true, graphs = true, cacheFile = defaultCacheFile(), ...sizes } = cuda;
  return { ...sizes, tune, graphs, cacheFile, plugin: cudaPluginPath() };
}

function defaultCacheFile(): string {
  const caches = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  return join(caches, 'masksearch', 'products.txt');
}
