// Adapter folders as PEFT writes them: adapter_config.json and adapter_model.safetensors.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, readJsonFile, writeFolderAtomic } from '@masksearch/core';
import { describe, integer, isAbsent, isOff, number, type Json } from './config-fields.ts';
import type { StoredDtype } from './float16.ts';
import type { NamedTensor } from './language-model.ts';
import { checkLoraConfig, type LoraConfig } from './lora.ts';
import { loraTargets, type LoraTarget } from './lora-targets.ts';
import { readSafetensors } from './safetensors.ts';
import { writeSafetensorsPieces } from './safetensors-file.ts';
import { sourceOf } from './weight-source.ts';

const CONFIG = 'adapter_config.json';
const WEIGHTS = 'adapter_model.safetensors';

/** An adapter as it lies in a folder; passes as the `adapter` of a new model. */
export interface LoadedAdapter {
  readonly config: LoraConfig;
  readonly weights: readonly NamedTensor[];
  /** What the adapter was trained on, as its folder says. */
  readonly baseModel?: string;
}

/** Keys that change nothing about what a trained adapter computes. */
const harmless = new Set([
  'base_model_name_or_path',
  'inference_mode',
  'init_lora_weights', // how it started
  'megatron_core', // read only with megatron_config
  'peft_type',
  'peft_version',
  'qalora_group_size', // read only with use_qalora
  'revision',
  'task_type',
]);

const known = new Set(['bias', 'lora_alpha', 'lora_dropout', 'r', 'target_modules']);

/**
 * Reads adapter_config.json. A key that is not known is accepted only when it is off.
 * @throws {ConfigError} It is no LoRA adapter of whole projections: another kind (DoRA, rank-stabilised, …),
 *   biases, ranks by pattern, modules saved in full, targets other than the seven projections of a layer.
 */
export function parseAdapterConfig(json: unknown, where = CONFIG): LoraConfig {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new ConfigError(`${where}: expected a JSON object, received ${describe(json)}.`);
  }
  const source = json as Json;
  if (source['peft_type'] !== 'LORA') {
    throw new ConfigError(
      `${where}: expected peft_type "LORA", received ${describe(source['peft_type'])}.`,
    );
  }
  if (!isAbsent(source['bias']) && source['bias'] !== 'none') {
    throw new ConfigError(
      `${where}: expected bias "none", received ${describe(source['bias'])}; trained biases are not supported.`,
    );
  }
  for (const [key, value] of Object.entries(source)) {
    if (!known.has(key) && !harmless.has(key) && !isOff(value)) {
      throw new ConfigError(
        `${where}: expected only keys of a plain LoRA adapter, received ${key} = ${describe(value)}; it may change the result and is not supported.`,
      );
    }
  }
  const lora: LoraConfig = {
    rank: integer(source, 'r', where),
    alpha: number(source, 'lora_alpha', where),
    dropout: isAbsent(source['lora_dropout']) ? 0 : number(source, 'lora_dropout', where),
    targets: readTargets(source['target_modules'], where),
  };
  checkLoraConfig(lora, where);
  return lora;
}

/** The adapter_config.json of an adapter. */
export function writeAdapterConfig(lora: LoraConfig, baseModel = ''): Record<string, unknown> {
  checkLoraConfig(lora, 'writeAdapterConfig');
  return {
    alpha_pattern: {},
    base_model_name_or_path: baseModel,
    bias: 'none',
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    layers_to_transform: null,
    lora_alpha: lora.alpha,
    lora_dropout: lora.dropout,
    modules_to_save: null,
    peft_type: 'LORA',
    r: lora.rank,
    rank_pattern: {},
    target_modules: [...lora.targets].sort(),
    task_type: 'CAUSAL_LM',
    use_dora: false,
    use_rslora: false,
  };
}

/** Writes an adapter folder in one rename; a folder of that name is replaced. */
export async function saveAdapterFolder(
  path: string,
  adapter: Pick<LoadedAdapter, 'config' | 'weights'>,
  options: { readonly baseModel?: string; readonly dtype?: StoredDtype } = {},
): Promise<void> {
  const config = writeAdapterConfig(adapter.config, options.baseModel);
  const source = sourceOf(adapter.weights);
  await writeFolderAtomic(path, async (folder) => {
    writeFileSync(join(folder, CONFIG), `${JSON.stringify(config, null, 2)}\n`);
    const file = join(folder, WEIGHTS);
    await writeSafetensorsPieces(file, adapter.weights, options.dtype ?? 'F32', (name) =>
      source.pieces(name),
    );
  });
}

/**
 * Reads an adapter folder. Whether the tensors fit a decoder is checked when a model is made of them.
 * @throws {InputError} A file is absent or malformed.
 * @throws {ConfigError} as `parseAdapterConfig`.
 */
export function loadAdapterFolder(path: string): LoadedAdapter {
  const configPath = join(path, CONFIG);
  const json = readJsonFile(configPath);
  const config = parseAdapterConfig(json, configPath);
  const baseModel = (json as Json)['base_model_name_or_path'];
  return {
    config,
    weights: readSafetensors(join(path, WEIGHTS)),
    ...(typeof baseModel === 'string' ? { baseModel } : {}),
  };
}

function readTargets(value: unknown, where: string): LoraTarget[] {
  if (value === 'all-linear') return [...loraTargets];
  const given: readonly unknown[] = Array.isArray(value) ? value : [undefined];
  const unknown = given.find((name) => !loraTargets.some((target) => target === name));
  if (!Array.isArray(value) || unknown !== undefined) {
    throw new ConfigError(
      `${where}: expected target_modules to be some of ${loraTargets.join(', ')}, received ${describe(value)}.`,
    );
  }
  return loraTargets.filter((target) => given.includes(target));
}
