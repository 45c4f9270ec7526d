// GGUF files read back by a reader of our own; bench/peers/check_gguf.py reads them with llama.cpp's.
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { baseShape } from '../conformance/shapes.ts';
import { fromFloat16 } from '../float16.ts';
import { initializeWeights } from '../initialize-weights.ts';
import { initializeAdapter, mergeAdapter, type LoraConfig } from '../lora.ts';
import { saveModelFolder } from '../model-folder.ts';
import { saveAdapterFolder } from '../peft-adapter.ts';
import { exportGguf } from './export-gguf.ts';
import { writeGguf, type GgufValue } from './gguf-file.ts';
import { ggufTokenizer } from './gguf-tokenizer.ts';
import { encodeGguf } from './quantize.ts';

const { config } = baseShape;
const weights = initializeWeights(config, 1);
const tokenizer = {
  model: { type: 'BPE', vocab: { a: 0, b: 1, ab: 2 }, merges: [['a', 'b']] },
  pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
  added_tokens: [{ id: 3, content: '<|end|>', special: true }],
};

async function exported(options: Parameters<typeof exportGguf>[2]) {
  const root = mkdtempSync(join(tmpdir(), 'gguf-'));
  const folder = join(root, 'model');
  const model = { config, weights: () => Promise.resolve(weights) };
  await saveModelFolder(folder, model, { tokenizerJson: JSON.stringify(tokenizer) });
  const path = join(root, 'model.gguf');
  const adapter = options?.adapter === undefined ? {} : { adapter: await adapterFolder(root) };
  const result = await exportGguf(folder, path, { ...options, ...adapter });
  expect(readdirSync(root).filter((name) => name.includes('.tmp-'))).toEqual([]);
  return { result, file: readGguf(readFileSync(path)) };
}

const lora: LoraConfig = { rank: 2, alpha: 4, dropout: 0, targets: ['q_proj', 'down_proj'] };
const adapter = initializeAdapter(config, lora, 2).map(({ name, shape, data }) => ({
  name,
  shape,
  data: data.map((value, i) => value + Math.sin(i)),
}));

async function adapterFolder(root: string): Promise<string> {
  const path = join(root, 'adapter');
  await saveAdapterFolder(path, { config: lora, weights: adapter });
  return path;
}

/** Keys and tensors of a file; arrays as their values, data as raw bytes. */
function readGguf(bytes: Buffer) {
  let at = 0;
  const u32 = (): number => bytes.readUInt32LE((at += 4) - 4);
  const u64 = (): number => Number(bytes.readBigUInt64LE((at += 8) - 8));
  const text = (): string => {
    const length = u64();
    return bytes.toString('utf8', at, (at += length));
  };
  const value = (type: number): unknown => {
    if (type === 4 || type === 5) return u32();
    if (type === 6) return bytes.readFloatLE((at += 4) - 4);
    if (type === 7) return bytes.readUInt8(at++);
    if (type === 8) return text();
    const element = u32();
    return Array.from({ length: u64() }, () => value(element));
  };
  expect(bytes.toString('latin1', 0, 4)).toBe('GGUF');
  at = 4;
  expect(u32()).toBe(3);
  const tensorCount = u64();
  const keyCount = u64();
  const keys = new Map(Array.from({ length: keyCount }, () => [text(), value(u32())] as const));
  const infos = Array.from({ length: tensorCount }, () => ({
    name: text(),
    sizes: Array.from({ length: u32() }, u64),
    type: u32(),
    offset: u64(),
  }));
  const start = Math.ceil(at / 32) * 32;
  const tensors = new Map(infos.map((info) => [info.name, { ...info, at: start + info.offset }]));
  return { keys, tensors, bytes };
}

function floats({ tensors, bytes }: ReturnType<typeof readGguf>, name: string): number[] {
  const { at, sizes } = tensors.get(name) ?? { at: 0, sizes: [] };
  const count = sizes.reduce((product, size) => product * size, 1);
  return Array.from({ length: count }, (_, i) => bytes.readFloatLE(at + 4 * i));
}

describe('exportGguf', () => {
  test('writes sizes, tokenizer and every weight, fastest dimension first', async () => {
    const { result, file } = await exported({ dtype: 'F32' });
    expect(result).toMatchObject({ architecture: 'qwen2', tensors: weights.length });
    expect(Object.fromEntries(file.keys)).toMatchObject({
      'general.architecture': 'qwen2',
      'qwen2.block_count': 2,
      'qwen2.attention.head_count_kv': 2,
      'tokenizer.ggml.pre': 'gpt-2',
      'tokenizer.ggml.merges': ['a b'],
    });
    const tokens = file.keys.get('tokenizer.ggml.tokens') as string[];
    expect(tokens).toHaveLength(config.vocabularySize);
    expect(tokens.slice(0, 5)).toEqual(['a', 'b', 'ab', '<|end|>', '[PAD4]']);
    const types = file.keys.get('tokenizer.ggml.token_type') as number[];
    expect(types.slice(0, 5)).toEqual([1, 1, 1, 3, 5]);
    const embedding = file.tensors.get('token_embd.weight');
    expect(embedding?.sizes).toEqual([config.width, config.vocabularySize]);
    expect(floats(file, 'token_embd.weight')).toEqual([...(weights[0]?.data ?? [])]);
    for (const { at } of file.tensors.values()) expect(at % 32).toBe(0);
  });

  test('writes headers of any length: many long tokens', async () => {
    const path = join(mkdtempSync(join(tmpdir(), 'gguf-')), 'long.gguf');
    const tokens = Array.from({ length: 9000 }, (_, i) => `${'é'.repeat(i % 40)}${i}`);
    const types = tokens.map((_, i) => i);
    const values = new Map<string, GgufValue>([
      ['tokens', { type: 'strings', value: tokens }],
      ['types', { type: 'i32s', value: types }],
      ['one', { type: 'bool', value: true }],
      ['epsilon', { type: 'f32', value: 0.5 }],
    ]);
    const data = Float32Array.of(1, 2, 3);
    const tensor = { name: 't', shape: [3], dtype: 'F32', pieces: () => [data] } as const;
    await writeGguf(path, values, [tensor]);
    const file = readGguf(readFileSync(path));
    expect(Object.fromEntries(file.keys)).toEqual({ tokens, types, one: 1, epsilon: 0.5 });
    expect(floats(file, 't')).toEqual([1, 2, 3]);
    const short = { ...tensor, shape: [4] };
    await expect(writeGguf(path, values, [short])).rejects.toThrow('expected 4 elements of t');
  });

  test('names a malformed file of the folder', async () => {
    const folder = join(mkdtempSync(join(tmpdir(), 'gguf-')), 'model');
    const model = { config, weights: () => Promise.resolve(weights) };
    await saveModelFolder(folder, model, { tokenizerJson: JSON.stringify(tokenizer) });
    writeFileSync(join(folder, 'tokenizer_config.json'), '{');
    const refusal = exportGguf(folder, join(folder, 'x.gguf'));
    await expect(refusal).rejects.toThrow('tokenizer_config.json: expected JSON');
  });

  test('merges an adapter in', async () => {
    const { file } = await exported({ dtype: 'F32', adapter: 'adapter' });
    const merged = mergeAdapter(weights, lora, adapter);
    const name = 'model.layers.1.mlp.down_proj.weight';
    const expected = merged.find((tensor) => tensor.name === name)?.data ?? [];
    expect(floats(file, 'blk.1.ffn_down.weight')).toEqual([...expected]);
  });

  test('rows that make no whole blocks are F16 in a Q8_0 file, vectors F32', async () => {
    const { file } = await exported({ dtype: 'Q8_0' });
    expect(file.tensors.get('token_embd.weight')?.type).toBe(1); // 16 columns
    expect(file.tensors.get('blk.0.attn_output.weight')?.type).toBe(8); // 32
    expect(file.tensors.get('output_norm.weight')?.type).toBe(0);
  });

  test('Q8_0 is within half a step of its block, exact at the largest, zero for zeros', () => {
    const values = Float32Array.from({ length: 64 }, (_, i) => (i < 32 ? Math.sin(i) * 3 : 0));
    const bytes = Buffer.from(encodeGguf('Q8_0', values));
    expect(bytes).toHaveLength(68);
    const scale = fromFloat16(bytes.readUInt16LE(0));
    for (let i = 0; i < 32; i++) {
      const error = Math.abs(bytes.readInt8(2 + i) * scale - (values[i] ?? NaN));
      expect(error).toBeLessThanOrEqual(0.5 * scale + 127 * scale * 2 ** -11);
    }
    expect(Math.max(...bytes.subarray(2, 34).map((b) => Math.min(b, 256 - b)))).toBe(127);
    expect(bytes.subarray(34).every((byte) => byte === 0)).toBe(true);
  });

  test.each<[string, object]>([
    ['byte-level BPE', { model: { ...tokenizer.model, byte_fallback: true } }],
    ['byte-level BPE', { model: { type: 'Unigram' } }],
    ['has no name for it', { pre_tokenizer: null }],
    ['has no name for it', { pre_tokenizer: { type: 'Split', pattern: { Regex: 'x' } } }],
    ['rows of the embedding', { added_tokens: [{ id: 99, content: 'x', special: true }] }],
  ])('refuses tokenizers that GGUF cannot say: %s', (message, change) => {
    expect(() => ggufTokenizer({ ...tokenizer, ...change }, 10)).toThrow(message);
  });
});
