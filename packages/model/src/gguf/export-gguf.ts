// A model folder as one GGUF file for llama.cpp, with its tokenizer and chat template.
import { existsSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { ConfigError, readJsonFile } from '@masksearch/core';
import type { Json } from '../config-fields.ts';
import type { DecoderConfig } from '../decoder-config.ts';
import { adapterMerger, checkedAdapter } from '../lora.ts';
import { openModelFolder } from '../model-folder.ts';
import { elementCount, EMBEDDINGS, FINAL_NORM, HEAD, parameterSpecs } from '../parameters.ts';
import { loadAdapterFolder } from '../peft-adapter.ts';
import { rotaryFrequencies } from '../rotary-frequencies.ts';
import type { Pieces } from '../safetensors-file.ts';
import { joinPieces } from '../weight-source.ts';
import { writeGguf, type GgufTensor, type GgufValue } from './gguf-file.ts';
import { ggufTokenizer } from './gguf-tokenizer.ts';
import { blockElements, type GgufDtype } from './quantize.ts';

export interface ExportGgufOptions {
  /** How matrices are stored; default Q8_0. Norms and biases are F32; rows that make no whole blocks are F16. */
  readonly dtype?: GgufDtype;
  /** A PEFT adapter folder to merge in. */
  readonly adapter?: string;
}

export interface ExportedGguf {
  readonly architecture: string;
  readonly tensors: number;
  readonly parameters: number;
}

/** llama.cpp's numbers of what a file mostly holds. */
const FILE_TYPES: Readonly<Record<GgufDtype, number>> = { F32: 0, F16: 1, Q8_0: 7, BF16: 32 };

const LAYER_NAMES: Readonly<Record<string, string>> = {
  'input_layernorm.weight': 'attn_norm.weight',
  'self_attn.q_proj.weight': 'attn_q.weight',
  'self_attn.q_proj.bias': 'attn_q.bias',
  'self_attn.k_proj.weight': 'attn_k.weight',
  'self_attn.k_proj.bias': 'attn_k.bias',
  'self_attn.v_proj.weight': 'attn_v.weight',
  'self_attn.v_proj.bias': 'attn_v.bias',
  'self_attn.o_proj.weight': 'attn_output.weight',
  'self_attn.q_norm.weight': 'attn_q_norm.weight',
  'self_attn.k_norm.weight': 'attn_k_norm.weight',
  'post_attention_layernorm.weight': 'ffn_norm.weight',
  'mlp.gate_proj.weight': 'ffn_gate.weight',
  'mlp.up_proj.weight': 'ffn_up.weight',
  'mlp.down_proj.weight': 'ffn_down.weight',
};

const TOP_NAMES: Readonly<Record<string, string>> = {
  [EMBEDDINGS]: 'token_embd.weight',
  [FINAL_NORM]: 'output_norm.weight',
  [HEAD]: 'output.weight',
};

/**
 * Writes `path` from a Hugging Face folder, tensor by tensor.
 * @throws {InputError} as `openModelFolder` and `loadAdapterFolder`, or the tokenizer has no form in GGUF.
 * @throws {ConfigError} llama.cpp does not scale rotary positions in this architecture.
 */
export async function exportGguf(
  folder: string,
  path: string,
  options: ExportGgufOptions = {},
): Promise<ExportedGguf> {
  const { dtype = 'Q8_0' } = options;
  const source = openModelFolder(folder);
  try {
    const { config, weights } = source;
    const architecture = architectureOf(config);
    const merge = mergerOf(config, options.adapter);
    const tensors = parameterSpecs(config).map(({ name, shape }): GgufTensor => ({
      name: ggufName(name),
      shape,
      dtype: storedAs(dtype, shape),
      pieces: () => permuted(architecture, config, name, merged(name, weights.pieces(name), merge)),
    }));
    if (config.ropeScaling !== undefined) tensors.push(ropeFactors(config));
    const values = new Map([
      ...modelValues(architecture, config, folder, dtype),
      ...tokenizerValues(folder, config, source.tokenizerJson),
    ]);
    await writeGguf(path, values, tensors);
    const parameters = tensors.reduce((sum, { shape }) => sum + elementCount(shape), 0);
    return { architecture, tensors: tensors.length, parameters };
  } finally {
    source.close();
  }
}

function architectureOf(config: DecoderConfig): string {
  const architecture =
    config.queryKeyNorm === true ? 'qwen3' : config.attentionBias ? 'qwen2' : 'llama';
  if (config.ropeScaling !== undefined && architecture !== 'llama') {
    throw new ConfigError(
      `exportGguf: expected scaled rotary positions in a llama model only, received them in ${architecture}; llama.cpp has no form for that.`,
    );
  }
  return architecture;
}

function ggufName(name: string): string {
  const top = TOP_NAMES[name];
  if (top !== undefined) return top;
  const [, layer, part = ''] = /^model\.layers\.(\d+)\.(.+)$/.exec(name) ?? [];
  return `blk.${layer}.${LAYER_NAMES[part]}`;
}

function storedAs(dtype: GgufDtype, shape: readonly number[]): GgufDtype {
  if (shape.length === 1) return 'F32';
  return (shape.at(-1) ?? 0) % blockElements(dtype) === 0 ? dtype : 'F16';
}

type Merger = ReturnType<typeof adapterMerger>;

function mergerOf(config: DecoderConfig, folder: string | undefined): Merger | undefined {
  if (folder === undefined) return undefined;
  const adapter = checkedAdapter(config, loadAdapterFolder(folder), folder);
  return adapterMerger(adapter.config, adapter.weights);
}

function* merged(
  name: string,
  pieces: Iterable<Float32Array>,
  merge: Merger | undefined,
): Generator<Float32Array> {
  let first = 0;
  for (const piece of pieces) {
    merge?.(name, first, piece);
    yield piece;
    first += piece.length;
  }
}

/**
 * llama.cpp turns neighbouring pairs (2i, 2i + 1) in its llama architecture where transformers turns
 * (i, i + D/2), so the rows of each query and key head change places.
 */
function permuted(
  architecture: string,
  config: DecoderConfig,
  name: string,
  pieces: Iterable<Float32Array>,
): Pieces {
  const heads = name.endsWith('.q_proj.weight')
    ? config.heads
    : name.endsWith('.k_proj.weight')
      ? config.keyValueHeads
      : 0;
  if (architecture !== 'llama' || heads === 0) return pieces;
  const { headWidth: D, width: C } = config;
  const source = joinPieces(pieces, heads * D * C);
  const result = new Float32Array(source.length);
  for (let h = 0; h < heads; h++) {
    for (let row = 0; row < D; row++) {
      const from = h * D + (row % 2) * (D / 2) + Math.floor(row / 2);
      result.set(source.subarray(from * C, (from + 1) * C), (h * D + row) * C);
    }
  }
  return [result];
}

/** What llama.cpp divides each frequency by. */
function ropeFactors(config: DecoderConfig): GgufTensor {
  const { ropeScaling: _, ...unscaled } = config;
  const scaled = rotaryFrequencies(config);
  const factors = rotaryFrequencies(unscaled).map((plain, i) => plain / (scaled[i] as number));
  return {
    name: 'rope_freqs.weight',
    shape: [factors.length],
    dtype: 'F32',
    pieces: () => [Float32Array.from(factors)],
  };
}

function modelValues(
  architecture: string,
  config: DecoderConfig,
  folder: string,
  dtype: GgufDtype,
): Map<string, GgufValue> {
  const u32 = (value: number): GgufValue => ({ type: 'u32', value });
  const f32 = (value: number): GgufValue => ({ type: 'f32', value });
  const text = (value: string): GgufValue => ({ type: 'string', value });
  return new Map([
    ['general.architecture', text(architecture)],
    ['general.type', text('model')],
    ['general.name', text(basename(resolve(folder)))],
    ['general.file_type', u32(FILE_TYPES[dtype])],
    ['general.quantization_version', u32(2)],
    [`${architecture}.block_count`, u32(config.layers)],
    [`${architecture}.context_length`, u32(config.maxPositions)],
    [`${architecture}.embedding_length`, u32(config.width)],
    [`${architecture}.feed_forward_length`, u32(config.feedForwardWidth)],
    [`${architecture}.attention.head_count`, u32(config.heads)],
    [`${architecture}.attention.head_count_kv`, u32(config.keyValueHeads)],
    [`${architecture}.attention.key_length`, u32(config.headWidth)],
    [`${architecture}.attention.value_length`, u32(config.headWidth)],
    [`${architecture}.attention.layer_norm_rms_epsilon`, f32(config.normEpsilon)],
    [`${architecture}.rope.dimension_count`, u32(config.headWidth)],
    [`${architecture}.rope.freq_base`, f32(config.ropeTheta)],
    [`${architecture}.vocab_size`, u32(config.vocabularySize)],
  ]);
}

/** Nothing where the folder has no tokenizer.json. */
function tokenizerValues(
  folder: string,
  config: DecoderConfig,
  tokenizerJson: string | undefined,
): Map<string, GgufValue> {
  if (tokenizerJson === undefined) return new Map();
  const where = join(folder, 'tokenizer.json');
  const values = ggufTokenizer(JSON.parse(tokenizerJson), config.vocabularySize, where);
  const settings = readJsonIfThere(join(folder, 'tokenizer_config.json'));
  const model = readJsonIfThere(join(folder, 'config.json'));
  for (const name of ['bos', 'eos'] as const) {
    const id: unknown = [model[`${name}_token_id`]].flat()[0];
    if (typeof id === 'number') {
      values.set(`tokenizer.ggml.${name}_token_id`, { type: 'u32', value: id });
    }
  }
  const addsBos = settings['add_bos_token'];
  if (typeof addsBos === 'boolean') {
    values.set('tokenizer.ggml.add_bos_token', { type: 'bool', value: addsBos });
  }
  const templatePath = join(folder, 'chat_template.jinja');
  const template = existsSync(templatePath)
    ? readFileSync(templatePath, 'utf8')
    : settings['chat_template'];
  if (typeof template === 'string') {
    values.set('tokenizer.chat_template', { type: 'string', value: template });
  }
  return values;
}

function readJsonIfThere(path: string): Json {
  if (!existsSync(path)) return {};
  const value = readJsonFile(path);
  return typeof value === 'object' && value !== null ? (value as Json) : {};
}
