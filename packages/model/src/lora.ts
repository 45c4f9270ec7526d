// Low-rank adapters (arXiv:2106.09685): which parameters they have, how they start, and merging them into the weights.
import { ConfigError, InputError, RandomStream } from '@masksearch/core';
import type { DecoderConfig } from './decoder-config.ts';
import type { NamedTensor } from './language-model.ts';
import { loraTargets, type LoraTarget } from './lora-targets.ts';
import {
  elementCount,
  layerPrefix,
  orderBySpecs,
  parameterSpecs,
  type ParameterSpec,
} from './parameters.ts';

/** y = W x + (alpha / rank) · B A dropout(x), with W frozen. */
export interface LoraConfig {
  readonly rank: number;
  readonly alpha: number;
  /** Chance in [0, 1) that an element of the adapter's input is dropped while gradients are taken. */
  readonly dropout: number;
  readonly targets: readonly LoraTarget[];
}

/** What an adapter starts from. */
export interface AdapterStart {
  readonly config: LoraConfig;
  /** A and B by their names in PEFT's files; without them `initializeAdapter(config, lora, seed)`. */
  readonly weights?: readonly NamedTensor[];
  /** Seed of the starting weights and of dropout, 32 bits; default 0. */
  readonly seed?: number;
}

/** What a model says of its adapter. */
export interface Adapter {
  readonly config: LoraConfig;
  /** A and B by their names in PEFT's files, copies. */
  weights(): Promise<NamedTensor[]>;
}

const MODULES: Readonly<Record<LoraTarget, string>> = {
  q_proj: 'self_attn.q_proj',
  k_proj: 'self_attn.k_proj',
  v_proj: 'self_attn.v_proj',
  o_proj: 'self_attn.o_proj',
  gate_proj: 'mlp.gate_proj',
  up_proj: 'mlp.up_proj',
  down_proj: 'mlp.down_proj',
};

const LARGEST_RANK = 4096;

/** @throws {ConfigError} The rank, alpha, dropout or targets are none that an adapter can have. */
export function checkLoraConfig(lora: LoraConfig, where = 'lora'): void {
  const { rank, alpha, dropout, targets } = lora;
  if (!Number.isInteger(rank) || rank < 1 || rank > LARGEST_RANK) {
    throw new ConfigError(`${where}: expected rank in 1..${LARGEST_RANK}, received ${rank}.`);
  }
  if (!(Number.isFinite(alpha) && alpha > 0)) {
    throw new ConfigError(`${where}: expected alpha > 0, received ${alpha}.`);
  }
  if (!(dropout >= 0 && dropout < 1)) {
    throw new ConfigError(`${where}: expected dropout in [0, 1), received ${dropout}.`);
  }
  const known = targets.every((target) => loraTargets.includes(target));
  if (targets.length === 0 || !known || new Set(targets).size !== targets.length) {
    throw new ConfigError(
      `${where}: expected targets to be some of ${loraTargets.join(', ')}, each once, received [${targets.join(', ')}].`,
    );
  }
}

/** Name in the decoder of the matrix that a target of layer `l` changes, without `.weight`. */
export function loraModule(l: number, target: LoraTarget): string {
  return layerPrefix(l) + MODULES[target];
}

/** Names of A (r, inputs) and B (outputs, r), as PEFT writes them. */
export function loraNames(module: string): { readonly a: string; readonly b: string } {
  const prefix = `base_model.model.${module}`;
  return { a: `${prefix}.lora_A.weight`, b: `${prefix}.lora_B.weight` };
}

/** The adapter's parameters, layer by layer in the order of `loraTargets`, A before B. All decay. */
export function adapterSpecs(config: DecoderConfig, lora: LoraConfig): ParameterSpec[] {
  const shapes = new Map(parameterSpecs(config).map(({ name, shape }) => [name, shape]));
  const specs: ParameterSpec[] = [];
  for (let l = 0; l < config.layers; l++) {
    for (const target of loraTargets.filter((candidate) => lora.targets.includes(candidate))) {
      const module = loraModule(l, target);
      const [outputs = 0, inputs = 0] = shapes.get(`${module}.weight`) ?? [];
      const { a, b } = loraNames(module);
      specs.push({ name: a, shape: [lora.rank, inputs], decayed: true });
      specs.push({ name: b, shape: [outputs, lora.rank], decayed: true });
    }
  }
  return specs;
}

/** The parameters that a model trains: those of its adapter where it has one, else all. */
export function trainedSpecs({
  config,
  adapter,
}: {
  readonly config: DecoderConfig;
  readonly adapter?: Pick<Adapter, 'config'>;
}): ParameterSpec[] {
  return adapter === undefined ? parameterSpecs(config) : adapterSpecs(config, adapter.config);
}

/** A uniform in ±1/√inputs and B zero, as PEFT starts: the model is the frozen one at first. */
export function initializeAdapter(
  config: DecoderConfig,
  lora: LoraConfig,
  seed: number,
): NamedTensor[] {
  return adapterSpecs(config, lora).map(({ name, shape }) => {
    const data = new Float32Array(elementCount(shape));
    if (name.endsWith('.lora_A.weight')) {
      const random = new RandomStream('initialize-adapter', seed, name);
      const bound = 1 / Math.sqrt(shape[1] ?? 1);
      for (let i = 0; i < data.length; i++) data[i] = bound * (2 * random.uniform() - 1);
    }
    return { name, shape, data };
  });
}

/**
 * An adapter with everything that may be left out.
 * @throws {ConfigError} as `checkLoraConfig`.
 * @throws {InputError} The weights do not fit the decoder or the seed is not of 32 bits.
 */
export function checkedAdapter(
  config: DecoderConfig,
  { config: lora, weights, seed = 0 }: AdapterStart,
  where: string,
): Required<AdapterStart> {
  checkLoraConfig(lora, where);
  if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32) {
    throw new InputError(`${where}: expected seed in 0..2^32-1, received ${seed}.`);
  }
  const start = weights ?? initializeAdapter(config, lora, seed);
  return { config: lora, weights: orderBySpecs(adapterSpecs(config, lora), start, where), seed };
}

/**
 * Adds (alpha / rank) · B A to rows of adapted matrices, in float64.
 * @param adapter A and B of the whole adapter.
 * @returns A function that adds its part to elements [first, first + piece.length) of a weight, in
 *   place, and leaves weights that are not adapted alone.
 */
export function adapterMerger(
  lora: LoraConfig,
  adapter: readonly NamedTensor[],
): (name: string, first: number, piece: Float32Array) => void {
  const byName = new Map(adapter.map((tensor) => [tensor.name, tensor]));
  const scale = lora.alpha / lora.rank;
  return (name, first, piece) => {
    const names = loraNames(name.replace(/\.weight$/, ''));
    const a = byName.get(names.a);
    const b = byName.get(names.b);
    if (a === undefined || b === undefined) return;
    const inputs = a.shape[1] ?? 1;
    const r = lora.rank;
    const row = new Float64Array(inputs);
    for (let done = 0; done < piece.length;) {
      const o = Math.floor((first + done) / inputs);
      const from = (first + done) % inputs;
      const count = Math.min(inputs - from, piece.length - done);
      row.fill(0);
      for (let k = 0; k < r; k++) {
        const factor = scale * (b.data[o * r + k] as number);
        for (let i = from; i < from + count; i++) {
          row[i] = (row[i] as number) + factor * (a.data[k * inputs + i] as number);
        }
      }
      for (let i = 0; i < count; i++) {
        piece[done + i] = (piece[done + i] as number) + (row[from + i] as number);
      }
      done += count;
    }
  };
}

/** The weights with the adapter merged in: a plain model that computes the same. */
export function mergeAdapter(
  weights: readonly NamedTensor[],
  lora: LoraConfig,
  adapter: readonly NamedTensor[],
): NamedTensor[] {
  const merge = adapterMerger(lora, adapter);
  return weights.map(({ name, shape, data }) => {
    const merged = data.slice();
    merge(name, 0, merged);
    return { name, shape, data: merged };
  });
}
