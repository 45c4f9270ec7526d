// Model folders as Hugging Face lays them out: config.json, model.safetensors, tokenizer.json.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { InputError, writeFolderAtomic } from '@masksearch/core';
import type { DecoderConfig } from './decoder-config.ts';
import { parseDecoderConfig, writeDecoderConfig } from './hugging-face-config.ts';
import type { LanguageModel, NamedTensor } from './language-model.ts';
import { HEAD, orderTensors } from './parameters.ts';
import { readSafetensors, writeSafetensors, type StoredDtype } from './safetensors.ts';

export interface SaveModelOptions {
  /** Content of tokenizer.json. */
  readonly tokenizerJson?: string;
  /** How weights are stored; default F32, which loads back bit for bit. */
  readonly dtype?: StoredDtype;
}

/** What a model folder holds. */
export interface LoadedModel {
  readonly config: DecoderConfig;
  /** In the order of `parameterSpecs`. */
  readonly weights: readonly NamedTensor[];
  /** Content of tokenizer.json when there is one. */
  readonly tokenizerJson?: string;
}

/** Writes a model folder in one rename; a folder of that name is replaced. */
export async function saveModelFolder(
  path: string,
  model: Pick<LanguageModel, 'config' | 'weights'>,
  options: SaveModelOptions = {},
): Promise<void> {
  const dtype = options.dtype ?? 'F32';
  const weights = orderTensors(model.config, await model.weights(), 'saveModelFolder');
  const config = writeDecoderConfig(model.config, dtype === 'F32' ? 'float32' : 'bfloat16');
  await writeFolderAtomic(path, (folder) => {
    writeFileSync(join(folder, 'config.json'), `${JSON.stringify(config, null, 2)}\n`);
    writeSafetensors(join(folder, 'model.safetensors'), weights, { dtype });
    if (options.tokenizerJson !== undefined) {
      writeFileSync(join(folder, 'tokenizer.json'), options.tokenizerJson);
    }
  });
}

/**
 * Reads a model folder; weights may be in one file or in shards with an index.
 * @throws {InputError} A file is absent or malformed, or the weights do not fit the config.
 * @throws {ConfigError} as `parseDecoderConfig`.
 */
export function loadModelFolder(path: string): LoadedModel {
  const configPath = join(path, 'config.json');
  const config = parseDecoderConfig(readJson(configPath), configPath);
  const tensors = weightFiles(path).flatMap((file) => readSafetensors(join(path, file)));
  // Some exporters write the tied matrix twice; transformers reads the embedding then, and so do we.
  const used = config.tiedEmbeddings ? tensors.filter(({ name }) => name !== HEAD) : tensors;
  const weights = orderTensors(config, used, path);
  const tokenizerPath = join(path, 'tokenizer.json');
  if (!existsSync(tokenizerPath)) return { config, weights };
  return { config, weights, tokenizerJson: readFileSync(tokenizerPath, 'utf8') };
}

function weightFiles(path: string): string[] {
  const indexPath = join(path, 'model.safetensors.index.json');
  if (!existsSync(indexPath)) return ['model.safetensors'];
  const index = readJson(indexPath);
  const map =
    typeof index === 'object' && index !== null && 'weight_map' in index
      ? index.weight_map
      : undefined;
  const files = typeof map === 'object' && map !== null ? [...new Set(Object.values(map))] : [];
  const areNames = files.every((file) => typeof file === 'string' && file === basename(file));
  if (files.length === 0 || !areNames) {
    throw new InputError(
      `${indexPath}: expected weight_map to map tensors to files of this folder.`,
    );
  }
  return files as string[];
}

function readJson(path: string): unknown {
  if (!existsSync(path)) throw new InputError(`${path}: expected a JSON file, found none.`);
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new InputError(`${path}: expected JSON, received something else.`, { cause });
  }
}
