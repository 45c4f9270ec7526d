import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '@masksearch/core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { applyFlags, flagsOf } from './flags.ts';
import { jsonSchemaOf, leavesOf } from './leaves.ts';
import { lineOfKey, parseConfig, readConfigFile, withSetting } from './load.ts';
import { editDistance, nearest } from './nearest.ts';
import { runConfigSchema, sectionSchema, SECTION_NAMES } from './run-config.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'config-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe('parseConfig', () => {
  test('fills in every default from an empty configuration', () => {
    const config = parseConfig(runConfigSchema, {}, 'test');
    expect(config.index).toEqual({ k1: 0.9, b: 0.4 });
    expect(config.rl.clipHigh).toBe(0.28);
  });

  test('refuses an unknown key and suggests the nearest', () => {
    expect(() => parseConfig(runConfigSchema, { sft: { learningrate: 1 } }, 'a.yaml')).toThrow(
      'a.yaml: expected known keys, received sft.learningrate; did you mean sft.learningRate.',
    );
    expect(() => parseConfig(runConfigSchema, { indx: {} }, 'a.yaml')).toThrow(
      'did you mean index',
    );
  });

  test('names the key and the value that is out of range', () => {
    expect(() => parseConfig(runConfigSchema, { index: { b: 2 } }, 'a.yaml')).toThrow(
      /^a\.yaml: index\.b: .*<=1.*, received 2\.$/,
    );
  });

  test('refuses shares of base examples that are more than all', () => {
    const base = { articleShare: 0.7, worksheetShare: 0.4 };
    expect(() => parseConfig(runConfigSchema, { base }, 'a.yaml')).toThrow(
      'a.yaml: base: expected articleShare and worksheetShare of 1 together at most',
    );
  });

  test('refuses a phase that ends in two ways', () => {
    const phase = { name: 'x', steps: 1, epochs: 1 };
    expect(() => parseConfig(runConfigSchema, { sft: { phases: [phase] } }, 'a.yaml')).toThrow(
      'expected exactly one of steps, tokens and epochs',
    );
  });
});

describe('model.dtype', () => {
  const parse = (model: object) => parseConfig(runConfigSchema, { model }, 'run.yaml');

  test('is float32 by default, and bfloat16 on the native engine alone', () => {
    expect(parse({}).model.dtype).toBe('float32');
    expect(parse({ dtype: 'bfloat16' }).model.dtype).toBe('bfloat16');
    const refused = () => parse({ backend: 'tfjs-wasm', dtype: 'bfloat16' });
    expect(refused).toThrow(ConfigError);
    expect(refused).toThrow(
      /model\.dtype: expected float32, as tfjs has no bfloat16 \(--model\.dtype float32, or/,
    );
    expect(() => parse({ dtype: 'float16' })).toThrow(ConfigError);
  });
});

describe('model.device', () => {
  const parse = (model: object) => parseConfig(runConfigSchema, { model }, 'run.yaml');

  test('is the CPU by default; a GPU takes the native engine and bfloat16', () => {
    expect(parse({}).model).toMatchObject({ device: 'cpu', gpuMemory: null });
    const onGpu = { device: 'cuda', dtype: 'bfloat16', gpuMemory: 70 };
    expect(parse(onGpu).model).toMatchObject(onGpu);
    expect(() => parse({ device: 'cuda' })).toThrow(
      /model\.dtype: expected bfloat16 on device cuda.*--model\.dtype bfloat16/,
    );
    expect(() => parse({ device: 'cuda', backend: 'tfjs-node-gpu' })).toThrow(
      /model\.device: expected cpu, as tfjs has its devices by the name/,
    );
    expect(() => parse({ ...onGpu, gpuMemory: 0 })).toThrow(ConfigError);
  });
});

describe('topP', () => {
  const parse = (sections: object) => parseConfig(runConfigSchema, sections, 'run.yaml');

  test('cuts evaluation, rollouts and rounds off, and rl says why it may not', () => {
    expect(parse({ evaluation: { topP: 0.9 } }).evaluation.topP).toBe(0.9);
    expect(parse({}).rollouts.topP).toBe(1);
    expect(() => parse({ evolve: { topP: 2 } })).toThrow(ConfigError);
    expect(() => parse({ rl: { topP: 0.9 } })).toThrow(
      /rl\.topP: expected 1: the loss compares the probabilities that tokens were drawn with/,
    );
  });
});

describe('readConfigFile', () => {
  test('reads YAML', () => {
    expect(readConfigFile(file('ok.yaml', 'seed: 3\nindex: {b: 0.5}\n'))).toEqual({
      seed: 3,
      index: { b: 0.5 },
    });
    expect(readConfigFile(file('empty.yaml', ''))).toEqual({});
  });

  test.each([
    ['broken.yaml', 'a: [1,\nb: 2\n', /broken\.yaml:\d+: expected YAML/],
    ['list.yaml', '- 1\n', /expected keys and values, received \[1\]/],
    ['alias.yaml', 'a: *x\n', /alias\.yaml: expected YAML; Unresolved alias/],
    ['cycle.yaml', 'sft: &x { phases: *x }\n', /cycle\.yaml: expected YAML; Converting circular/],
  ])('refuses %s', (name, text, message) => {
    expect(() => readConfigFile(file(name, text))).toThrow(message);
  });

  test('says where examples are when there is no file', () => {
    expect(() => readConfigFile(join(folder, 'absent.yaml'))).toThrow(
      /found none; runs\/configs\//,
    );
  });
});

describe('lineOfKey', () => {
  test('finds keys in mappings and lists', () => {
    const path = file(
      'lines.yaml',
      'seed: 1\nsft:\n  # the curriculum\n  phases:\n    - {name: a}\n    - name: b\n      nam: c\n',
    );
    expect(lineOfKey(path, 'seed')).toBe(1);
    expect(lineOfKey(path, 'sft.phases')).toBe(4);
    expect(lineOfKey(path, 'sft.phases.1.nam')).toBe(7);
    expect(lineOfKey(path, 'absent')).toBeUndefined();
  });
});

describe('fuzz', () => {
  const onlyConfigErrors = (work: () => unknown): boolean => {
    try {
      work();
      return true;
    } catch (error) {
      return error instanceof ConfigError && error.message.length < 2000;
    }
  };

  test('any value is a configuration or a ConfigError', () => {
    const keys = ['name', 'seed', ...SECTION_NAMES];
    const settings = fc.dictionary(fc.constantFrom(...keys), fc.jsonValue());
    fc.assert(
      fc.property(fc.oneof(settings, fc.jsonValue()), (value) =>
        onlyConfigErrors(() => parseConfig(runConfigSchema, value, 'fuzz')),
      ),
    );
  });

  test('any file is a configuration or a ConfigError', () => {
    const yaml = fc.array(
      fc.constantFrom(
        'a',
        ':',
        ' ',
        '\n',
        '- ',
        '&x',
        '*x',
        '!!int',
        '{',
        ']',
        '"',
        '%',
        '|',
        '\t',
        '<<',
      ),
    );
    fc.assert(
      fc.property(yaml, (parts) => {
        const path = file('fuzz.yaml', parts.join(''));
        return onlyConfigErrors(() => readConfigFile(path));
      }),
    );
  });
});

describe('flags', () => {
  test('set nested keys, own ones without prefix', () => {
    const flags = [
      ...flagsOf('corpus', sectionSchema('corpus'), true),
      ...flagsOf('index', sectionSchema('index'), false),
    ];
    const given = { 'world.articles': '300', 'index.b': '0.1', input: 'null' };
    const config = applyFlags({ corpus: { world: { heldoutArticles: 200 } } }, flags, given);
    expect(config).toEqual({
      corpus: { world: { heldoutArticles: 200, articles: 300 }, input: null },
      index: { b: 0.1 },
    });
  });

  test('withSetting leaves its argument alone', () => {
    const base = { a: { b: 1 } };
    expect(withSetting(base, 'a.c', 2)).toEqual({ a: { b: 1, c: 2 } });
    expect(base).toEqual({ a: { b: 1 } });
  });
});

describe('the schema', () => {
  test('describes every key of every section and gives each a default', () => {
    for (const name of SECTION_NAMES) {
      for (const leaf of leavesOf(sectionSchema(name))) {
        expect(leaf.about, `${name}.${leaf.path}`).not.toBe('');
        expect(leaf.defaultValue, `${name}.${leaf.path}`).toBeDefined();
      }
    }
  });

  test('becomes a JSON Schema that refuses unknown keys', () => {
    const schema = jsonSchemaOf(runConfigSchema);
    expect(schema).toMatchObject({ type: 'object', additionalProperties: false });
    expect(schema).toHaveProperty('properties.index.properties.k1.default', 0.9);
  });
});

describe('nearest', () => {
  test('measures edits', () => {
    expect(editDistance('kitten', 'sitting')).toBe(3);
    expect(editDistance('', 'abc')).toBe(3);
  });

  test('offers nothing when nothing is near', () => {
    expect(nearest('zzzzzzzz', ['seed', 'name'])).toBeUndefined();
    expect(nearest('sed', ['name', 'seed'])).toBe('seed');
  });
});
