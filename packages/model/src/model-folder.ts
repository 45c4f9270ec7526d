// Model folders as Hugging Face lays them out: config.json, safetensors in one file or in shards, tokenizer files.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { InputError, readJsonFile, writeFolderAtomic } from '@masksearch/core';
import type { DecoderConfig } from './decoder-config.ts';
import type { StoredDtype } from './float16.ts';
import { carriedKeys, parseDecoderConfig, writeDecoderConfig } from './hugging-face-config.ts';
import type { LanguageModel, NamedTensor } from './language-model.ts';
import { elementCount, HEAD, orderTensors, parameterSpecs } from './parameters.ts';
import { SafetensorsFile, writeSafetensorsPieces, type Pieces } from './safetensors-file.ts';
import { bytesOf, type SafetensorsEntry } from './safetensors-header.ts';
import { checkedTensors, sourceOf, type WeightSource } from './weight-source.ts';

const INDEX = 'model.safetensors.index.json';

/** Files beside config.json and the weights that belong to a model; copied as they are. */
const companions = [
  'added_tokens.json',
  'chat_template.jinja',
  'generation_config.json',
  'merges.txt',
  'special_tokens_map.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'vocab.json',
] as const;

/** What transformers splits at: 5 GB. */
const LARGEST_SHARD_BYTES = 5e9;

export interface SaveModelOptions {
  /** Content of tokenizer.json; wins over that of `from`. */
  readonly tokenizerJson?: string;
  /** How weights are stored; default F32, which loads back bit for bit. */
  readonly dtype?: StoredDtype;
  /**
   * Folder that the model came from: its tokenizer files, generation settings, and the keys of its
   * config.json that say nothing about shapes (token ids and the like) are carried over.
   */
  readonly from?: string;
  /** Weights beyond this are split into files with an index; default 5 GB, as transformers does it. */
  readonly maxShardBytes?: number;
}

/** What a model folder holds. */
export interface LoadedModel {
  readonly config: DecoderConfig;
  /** In the order of `parameterSpecs`. */
  readonly weights: readonly NamedTensor[];
  /** Content of tokenizer.json when there is one. */
  readonly tokenizerJson?: string;
}

/** A model folder whose weights are read when asked for. Close it when the model is made. */
export interface OpenModelFolder {
  readonly config: DecoderConfig;
  readonly weights: WeightSource;
  /** Content of tokenizer.json when there is one. */
  readonly tokenizerJson?: string;
  readonly close: () => void;
}

/** What is saved of a model. With `weightPieces` its weights are never in memory twice. */
export type SavedModel = Pick<LanguageModel, 'config' | 'weights' | 'weightPieces'>;

/** Writes a model folder in one rename; a folder of that name is replaced. */
export async function saveModelFolder(
  path: string,
  model: SavedModel,
  options: SaveModelOptions = {},
): Promise<void> {
  const { dtype = 'F32', from } = options;
  const dtypeName = ({ F32: 'float32', F16: 'float16', BF16: 'bfloat16' } as const)[dtype];
  const carried = from === undefined ? {} : carriedKeys(readJsonFile(join(from, 'config.json')));
  const config = { ...carried, ...writeDecoderConfig(model.config, dtypeName) };
  const files = new Map(from === undefined ? [] : companionFiles(from));
  if (options.tokenizerJson !== undefined) files.set('tokenizer.json', options.tokenizerJson);
  await writeFolderAtomic(path, async (folder) => {
    writeFileSync(join(folder, 'config.json'), `${JSON.stringify(config, null, 2)}\n`);
    for (const [name, content] of files) writeFileSync(join(folder, name), content);
    await writeWeights(folder, model, dtype, options.maxShardBytes ?? LARGEST_SHARD_BYTES);
  });
}

/**
 * Reads a model folder; weights may be in one file or in shards with an index.
 * @throws {InputError} A file is absent or malformed, or the weights do not fit the config.
 * @throws {ConfigError} as `parseDecoderConfig`.
 */
export function loadModelFolder(path: string): LoadedModel {
  const { weights, close, ...folder } = openModelFolder(path);
  try {
    return { ...folder, weights: checkedTensors(folder.config, weights, path) };
  } finally {
    close();
  }
}

/** As `loadModelFolder`, but weights are read only when asked for. */
export function openModelFolder(path: string): OpenModelFolder {
  const configPath = join(path, 'config.json');
  const config = parseDecoderConfig(readJsonFile(configPath), configPath);
  const tokenizerPath = join(path, 'tokenizer.json');
  const tokenizer = existsSync(tokenizerPath)
    ? { tokenizerJson: readFileSync(tokenizerPath, 'utf8') }
    : {};
  return { config, ...openWeights(path, config), ...tokenizer };
}

function openWeights(
  path: string,
  config: DecoderConfig,
): Pick<OpenModelFolder, 'weights' | 'close'> {
  const index = readIndex(path);
  const names = index === undefined ? ['model.safetensors'] : [...new Set(index.values())];
  const files: SafetensorsFile[] = [];
  const close = (): void => files.forEach((file) => file.close());
  try {
    const found = new Map<string, { file: SafetensorsFile; entry: SafetensorsEntry }>();
    for (const name of names) {
      const file = new SafetensorsFile(join(path, name));
      files.push(file);
      for (const entry of file.entries) {
        if (index !== undefined && index.get(entry.name) !== name) {
          throw new InputError(
            `${file.path}: expected only tensors that ${INDEX} maps to this file, received ${entry.name}.`,
          );
        }
        found.set(entry.name, { file, entry });
      }
    }
    for (const name of index?.keys() ?? []) {
      if (!found.has(name)) {
        throw new InputError(`${path}: expected tensor ${name} of ${INDEX}, received none.`);
      }
    }
    for (const name of found.keys()) if (isIgnored(name, config)) found.delete(name);
    const weights: WeightSource = {
      shapes: new Map([...found].map(([name, { entry }]) => [name, entry.shape])),
      pieces: (name) => {
        const { file, entry } = found.get(name) as {
          file: SafetensorsFile;
          entry: SafetensorsEntry;
        };
        return file.pieces(entry);
      },
    };
    return { weights, close };
  } catch (error) {
    close();
    throw error;
  }
}

/**
 * Some exporters write the tied matrix twice; transformers reads the embedding then, and so do we.
 * Tables of rotary frequencies in old checkpoints follow from the config.
 */
function isIgnored(name: string, config: DecoderConfig): boolean {
  return (config.tiedEmbeddings && name === HEAD) || name.endsWith('.rotary_emb.inv_freq');
}

/** Tensor → file, or undefined where there is no index. */
function readIndex(path: string): Map<string, string> | undefined {
  const indexPath = join(path, INDEX);
  if (!existsSync(indexPath)) return undefined;
  const index = readJsonFile(indexPath);
  const map =
    typeof index === 'object' && index !== null && 'weight_map' in index
      ? index.weight_map
      : undefined;
  const entries = typeof map === 'object' && map !== null ? Object.entries(map) : [];
  const areNames = entries.every(([, file]) => typeof file === 'string' && file === basename(file));
  if (entries.length === 0 || !areNames) {
    throw new InputError(
      `${indexPath}: expected weight_map to map tensors to files of this folder.`,
    );
  }
  return new Map(entries);
}

async function writeWeights(
  folder: string,
  model: SavedModel,
  dtype: StoredDtype,
  maxShardBytes: number,
): Promise<void> {
  const specs = parameterSpecs(model.config);
  const shards = splitIntoShards(specs, dtype, maxShardBytes);
  const piecesOf = await weightReader(model);
  const weightMap: Record<string, string> = {};
  for (const [i, shard] of shards.entries()) {
    const number = (n: number): string => String(n).padStart(5, '0');
    const file =
      shards.length === 1
        ? 'model.safetensors'
        : `model-${number(i + 1)}-of-${number(shards.length)}.safetensors`;
    await writeSafetensorsPieces(join(folder, file), shard, dtype, piecesOf);
    for (const { name } of shard) weightMap[name] = file;
  }
  if (shards.length === 1) return;
  const total = specs.reduce((sum, { shape }) => sum + elementCount(shape) * bytesOf[dtype], 0);
  const index = { metadata: { total_size: total }, weight_map: weightMap };
  writeFileSync(join(folder, INDEX), `${JSON.stringify(index, null, 2)}\n`);
}

async function weightReader(model: SavedModel): Promise<(name: string) => Pieces> {
  if (model.weightPieces !== undefined) return (name) => model.weightPieces?.(name) ?? [];
  const source = sourceOf(orderTensors(model.config, await model.weights(), 'saveModelFolder'));
  return (name) => source.pieces(name);
}

/** Consecutive tensors of at most `maxBytes` together; a larger one has a shard of its own. */
function splitIntoShards<T extends { readonly shape: readonly number[] }>(
  tensors: readonly T[],
  dtype: StoredDtype,
  maxBytes: number,
): T[][] {
  const shards: T[][] = [];
  let filled = Infinity;
  for (const tensor of tensors) {
    const bytes = elementCount(tensor.shape) * bytesOf[dtype];
    if (filled + bytes > maxBytes) {
      shards.push([]);
      filled = 0;
    }
    shards.at(-1)?.push(tensor);
    filled += bytes;
  }
  return shards;
}

function companionFiles(folder: string): [string, Uint8Array | string][] {
  return companions
    .filter((name) => existsSync(join(folder, name)))
    .map((name) => [name, readFileSync(join(folder, name))]);
}
