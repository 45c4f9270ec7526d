import { describe, expect, test } from 'vitest';
import { baseShape } from './conformance/shapes.ts';
import { initializeWeights } from './initialize-weights.ts';
import { elementCount, parameterCount, parameterSpecs } from './parameters.ts';

const config = { ...baseShape.config, width: 64, feedForwardWidth: 128, layers: 8 };
const deviation = (data: Float32Array): number =>
  Math.sqrt(data.reduce((sum, value) => sum + value * value, 0) / data.length);

describe('initializeWeights', () => {
  const weights = initializeWeights(config, 5);
  const get = (name: string): Float32Array =>
    weights.find((tensor) => tensor.name === name)?.data ?? new Float32Array(0);

  test('has the parameters of the config in order', () => {
    expect(weights.map(({ name, shape }) => ({ name, shape }))).toEqual(
      parameterSpecs(config).map(({ name, shape }) => ({ name, shape })),
    );
    for (const { shape, data } of weights) expect(data.length).toBe(elementCount(shape));
    const total = weights.reduce((sum, { data }) => sum + data.length, 0);
    expect(parameterCount(config)).toBe(total);
  });

  test('matrices N(0, 0.02), residual projections smaller by sqrt(2L), norms 1, biases 0', () => {
    expect(deviation(get('model.layers.0.mlp.up_proj.weight'))).toBeCloseTo(0.02, 3);
    expect(deviation(get('model.layers.0.mlp.down_proj.weight'))).toBeCloseTo(0.02 / 4, 3);
    expect(deviation(get('model.layers.7.self_attn.o_proj.weight'))).toBeCloseTo(0.02 / 4, 3);
    expect(get('model.norm.weight').every((value) => value === 1)).toBe(true);
    expect(get('model.layers.3.input_layernorm.weight').every((value) => value === 1)).toBe(true);
    expect(get('model.layers.3.self_attn.k_proj.bias').every((value) => value === 0)).toBe(true);
  });

  test('equal seeds give equal weights, others do not, and tensors differ from each other', () => {
    expect(initializeWeights(config, 5)).toEqual(weights);
    expect(initializeWeights(config, 6)[0]?.data).not.toEqual(weights[0]?.data);
    expect(get('model.layers.0.mlp.up_proj.weight')).not.toEqual(
      get('model.layers.0.mlp.gate_proj.weight'),
    );
  });

  test('refuses a config that describes no decoder', () => {
    expect(() => initializeWeights({ ...config, headWidth: 3 }, 0)).toThrow('headWidth to be even');
    expect(() => initializeWeights({ ...config, keyValueHeads: 3 }, 0)).toThrow('multiple');
    expect(() => initializeWeights({ ...config, width: 0 }, 0)).toThrow('width');
  });
});
