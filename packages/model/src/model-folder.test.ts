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
import { HEAD } from './parameters.ts';
import { writeSafetensors } from './safetensors.ts';

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
