import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { expectSameTensors } from './conformance/bounds.ts';
import { baseShape } from './conformance/shapes.ts';
import { fromBfloat16, toBfloat16 } from './float16.ts';
import { initializeWeights } from './initialize-weights.ts';
import type { NamedTensor } from './language-model.ts';
import { loadModelFolder, saveModelFolder } from './model-folder.ts';
import { HEAD, parameterCount } from './parameters.ts';
import { writeSafetensors } from './safetensors.ts';
import { sourceOf } from './weight-source.ts';

const { config } = baseShape;
const weights = initializeWeights(config, 1);
const model = { config, weights: () => Promise.resolve([...weights].reverse()) };

describe('model folders', () => {
  let folder = '';
  beforeEach(() => {
    folder = join(mkdtempSync(join(tmpdir(), 'model-folder-')), 'model');
    return () => rmSync(join(folder, '..'), { recursive: true });
  });

  test('save and load give the same model bit for bit, with its tokenizer', async () => {
    await saveModelFolder(folder, model, { tokenizerJson: '{"a":1}' });
    const loaded = loadModelFolder(folder);
    expect(loaded.config).toEqual(config);
    expectSameTensors(loaded.weights, weights);
    expect(loaded.tokenizerJson).toBe('{"a":1}');
    expect(readdirSync(folder).sort()).toEqual([
      'config.json',
      'model.safetensors',
      'tokenizer.json',
    ]);
  });

  test('BF16 rounds every weight', async () => {
    await saveModelFolder(folder, model, { dtype: 'BF16' });
    const rounded = weights.map(({ data, ...tensor }) => ({
      ...tensor,
      data: data.map((value) => fromBfloat16(toBfloat16(value))),
    }));
    expectSameTensors(loadModelFolder(folder).weights, rounded);
  });

  test('saving twice gives the same bytes and replaces the folder', async () => {
    await saveModelFolder(folder, model, { tokenizerJson: '{}' });
    const before = readFileSync(join(folder, 'model.safetensors'));
    await saveModelFolder(folder, model);
    expect(readFileSync(join(folder, 'model.safetensors'))).toEqual(before);
    expect(existsSync(join(folder, 'tokenizer.json'))).toBe(false);
  });

  test('reads shards by their index, and a tied head that was written twice', async () => {
    await saveModelFolder(folder, model);
    rmSync(join(folder, 'model.safetensors'));
    const head: NamedTensor = { ...(weights[0] as NamedTensor), name: HEAD };
    const parts = [weights.slice(0, 5), [...weights.slice(5), head]];
    const weightMap: Record<string, string> = {};
    parts.forEach((tensors, i) => {
      const file = `model-0000${i + 1}-of-00002.safetensors`;
      writeSafetensors(join(folder, file), tensors);
      for (const { name } of tensors) weightMap[name] = file;
    });
    const index = join(folder, 'model.safetensors.index.json');
    writeFileSync(index, JSON.stringify({ weight_map: weightMap }));
    expectSameTensors(loadModelFolder(folder).weights, weights);
    writeFileSync(index, JSON.stringify({ weight_map: { a: '../elsewhere.safetensors' } }));
    expect(() => loadModelFolder(folder)).toThrow('files of this folder');
  });

  test('writes shards with an index, each within the limit or one tensor, and reads them back', async () => {
    await saveModelFolder(folder, model, { maxShardBytes: 3000 });
    const index = JSON.parse(
      readFileSync(join(folder, 'model.safetensors.index.json'), 'utf8'),
    ) as {
      metadata: { total_size: number };
      weight_map: Record<string, string>;
    };
    const files = readdirSync(folder).filter((name) => name.endsWith('.safetensors'));
    expect(files.length).toBeGreaterThan(2);
    expect(new Set(Object.values(index.weight_map))).toEqual(new Set(files));
    expect(files[0]).toBe(`model-00001-of-${String(files.length).padStart(5, '0')}.safetensors`);
    expect(index.metadata.total_size).toBe(4 * parameterCount(config));
    expectSameTensors(loadModelFolder(folder).weights, weights);
  });

  test('refuses shards that contradict their index', async () => {
    await saveModelFolder(folder, model, { maxShardBytes: 3000 });
    const path = join(folder, 'model.safetensors.index.json');
    const index = JSON.parse(readFileSync(path, 'utf8')) as { weight_map: Record<string, string> };
    const [name = '', file = ''] = Object.entries(index.weight_map)[1] ?? [];
    const last = Object.values(index.weight_map).at(-1) ?? '';
    const change = (map: Record<string, string>): void =>
      writeFileSync(path, JSON.stringify({ weight_map: { ...index.weight_map, ...map } }));
    change({ [name]: last });
    expect(() => loadModelFolder(folder)).toThrow('only tensors that model.safetensors.index.json');
    change({ 'model.extra': file });
    expect(() => loadModelFolder(folder)).toThrow('expected tensor model.extra');
    change({ [name]: 'model-9.safetensors' });
    expect(() => loadModelFolder(folder)).toThrow('expected');
  });

  test('carries tokenizer files and token ids over from the folder a model came from', async () => {
    await saveModelFolder(folder, model, { tokenizerJson: '{"a":1}' });
    const configPath = join(folder, 'config.json');
    const json = JSON.parse(readFileSync(configPath, 'utf8')) as object;
    const added = { eos_token_id: [7, 8], bos_token_id: 7, torch_dtype: 'float16' };
    writeFileSync(configPath, JSON.stringify({ ...json, ...added }));
    writeFileSync(join(folder, 'tokenizer_config.json'), '{"chat_template":"x"}');
    const copy = join(folder, '..', 'copy');
    await saveModelFolder(copy, model, { from: folder, dtype: 'BF16' });
    expect(readFileSync(join(copy, 'tokenizer_config.json'), 'utf8')).toContain('chat_template');
    expect(loadModelFolder(copy).tokenizerJson).toBe('{"a":1}');
    const written: unknown = JSON.parse(readFileSync(join(copy, 'config.json'), 'utf8'));
    expect(written).toMatchObject({
      eos_token_id: [7, 8],
      bos_token_id: 7,
      torch_dtype: 'bfloat16',
      dtype: 'bfloat16',
    });
  });

  test('a model that hands out pieces is saved from them alone', async () => {
    const pieces = {
      config,
      weights: () => Promise.reject(new Error('all at once')),
      async *weightPieces(name: string) {
        yield* sourceOf(weights).pieces(name);
      },
    };
    await saveModelFolder(folder, pieces);
    expectSameTensors(loadModelFolder(folder).weights, weights);
    const short = { ...pieces, async *weightPieces() {} };
    await expect(saveModelFolder(join(folder, '..', 'short'), short)).rejects.toThrow('received 0');
  });

  test('tables of rotary frequencies in old checkpoints are ignored', async () => {
    await saveModelFolder(folder, model);
    const table = {
      name: 'model.layers.0.self_attn.rotary_emb.inv_freq',
      shape: [4],
      data: new Float32Array(4),
    };
    writeSafetensors(join(folder, 'model.safetensors'), [...weights, table]);
    expectSameTensors(loadModelFolder(folder).weights, weights);
  });

  test('names what is wrong with a folder', async () => {
    expect(() => loadModelFolder(folder)).toThrow('config.json: expected a JSON file, found none');
    await saveModelFolder(folder, model);
    writeSafetensors(join(folder, 'model.safetensors'), weights.slice(1));
    expect(() => loadModelFolder(folder)).toThrow(
      'expected tensor model.embed_tokens.weight (29, 16)',
    );
    writeFileSync(join(folder, 'config.json'), '{');
    expect(() => loadModelFolder(folder)).toThrow('config.json: expected JSON');
  });

  test('a model that fails leaves no folder', async () => {
    const failing = { config, weights: () => Promise.reject(new Error('no weights')) };
    await expect(saveModelFolder(folder, failing)).rejects.toThrow('no weights');
    await expect(
      saveModelFolder(folder, { config, weights: () => Promise.resolve([]) }),
    ).rejects.toThrow('received none');
    expect(existsSync(folder)).toBe(false);
  });
});
