// Adapter folders of PEFT: what is read, what is written, what is refused by name.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { anyChangeOf, expectValueOrConfigError } from '../test/any-json.ts';
import { expectSameTensors } from './conformance/bounds.ts';
import { goldenPath, readGoldenJson } from './conformance/golden-files.ts';
import { baseShape } from './conformance/shapes.ts';
import { adapterMerger, initializeAdapter, mergeAdapter } from './lora.ts';
import { loraTargets } from './lora-targets.ts';
import { initializeWeights } from './initialize-weights.ts';
import {
  loadAdapterFolder,
  parseAdapterConfig,
  saveAdapterFolder,
  writeAdapterConfig,
} from './peft-adapter.ts';

const peft = readGoldenJson<Record<string, unknown>>('tiny-qwen2/lora/adapter_config.json');
const { config } = baseShape;
const lora = { rank: 3, alpha: 6, dropout: 0.1, targets: ['q_proj', 'up_proj'] } as const;

describe('adapter folders', () => {
  test("reads PEFT's", () => {
    const { config: read, weights, baseModel } = loadAdapterFolder(goldenPath('tiny-qwen2/lora'));
    expect(read).toEqual({ rank: 4, alpha: 8, dropout: 0, targets: loraTargets });
    expect(weights).toHaveLength(2 * 7 * 3);
    expect(baseModel).toBe('tiny-qwen2');
  });

  test('save and load give the same adapter bit for bit', async () => {
    const folder = join(mkdtempSync(join(tmpdir(), 'adapter-')), 'adapter');
    const weights = initializeAdapter(config, lora, 1);
    await saveAdapterFolder(folder, { config: lora, weights }, { baseModel: 'some/model' });
    expect(readdirSync(folder).sort()).toEqual([
      'adapter_config.json',
      'adapter_model.safetensors',
    ]);
    const loaded = loadAdapterFolder(folder);
    expect(loaded.config).toEqual(lora);
    expect(loaded.baseModel).toBe('some/model');
    const byName = new Map(loaded.weights.map((tensor) => [tensor.name, tensor]));
    const inOrder = weights.flatMap(({ name }) => byName.get(name) ?? []);
    expectSameTensors(inOrder, weights);
    writeFileSync(join(folder, 'adapter_config.json'), '{');
    expect(() => loadAdapterFolder(folder)).toThrow('expected JSON');
    rmSync(join(folder, 'adapter_config.json'));
    expect(() => loadAdapterFolder(folder)).toThrow('found none');
  });

  test.each<[string, object]>([
    ['peft_type', { peft_type: 'IA3' }],
    ['use_dora', { use_dora: true }],
    ['use_rslora', { use_rslora: true }],
    ['bias', { bias: 'all' }],
    ['rank_pattern', { rank_pattern: { q_proj: 8 } }],
    ['modules_to_save', { modules_to_save: ['lm_head'] }],
    ['layers_to_transform', { layers_to_transform: [0] }],
    ['fan_in_fan_out', { fan_in_fan_out: true }],
    ['target_modules', { target_modules: ['lm_head'] }],
    ['target_modules', { target_modules: '.*_proj' }],
    ['targets', { target_modules: [] }],
    ['r to be', { r: 'four' }],
    ['rank', { r: 0 }],
    ['dropout', { lora_dropout: 1 }],
  ])('refuses by name: %s %j', (message, change) => {
    expect(() => parseAdapterConfig({ ...peft, ...change }, 'x')).toThrow(
      expect.objectContaining({ code: 'config', message: expect.stringContaining(message) }),
    );
  });

  test('"all-linear" means the seven projections', () => {
    const read = parseAdapterConfig({ ...peft, target_modules: 'all-linear' });
    expect(read.targets).toEqual(loraTargets);
    expect(parseAdapterConfig(writeAdapterConfig(read))).toEqual(read);
  });

  test('any JSON gives an adapter or a ConfigError', () => {
    expectValueOrConfigError(parseAdapterConfig, anyChangeOf(peft));
  });

  test('merging in pieces of any size equals merging at once', () => {
    const weights = initializeWeights(config, 2);
    const adapter = initializeAdapter(config, lora, 3).map(({ name, shape, data }) => ({
      name,
      shape,
      data: data.map((value, i) => value + Math.sin(i)),
    }));
    const merged = mergeAdapter(weights, lora, adapter);
    const merge = adapterMerger(lora, adapter);
    for (const [i, { name, data }] of weights.entries()) {
      const copy = data.slice();
      for (let first = 0; first < copy.length; first += 7) {
        merge(name, first, copy.subarray(first, first + 7));
      }
      expect(copy, name).toEqual(merged[i]?.data);
      const isAdapted = /q_proj.weight|up_proj.weight/.test(name);
      expect(copy.every((value, j) => value === data[j])).toBe(!isAdapted);
    }
  });
});
