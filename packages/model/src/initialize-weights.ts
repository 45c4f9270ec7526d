// Random starting weights: the same config and seed give the same numbers on every machine.
import { RandomStream } from '@masksearch/core';
import { checkDecoderConfig, type DecoderConfig } from './decoder-config.ts';
import type { NamedTensor } from './language-model.ts';
import { elementCount, parameterSpecs } from './parameters.ts';

/** Standard deviation of matrices; Hugging Face's `initializer_range`. */
const DEVIATION = 0.02;

/** Projections that write into the residual stream: two in each layer. */
const residualProjection = /\.(o_proj|down_proj)\.weight$/;

/**
 * Matrices N(0, 0.02), those that write into the residual stream divided by sqrt(2L) (GPT-2, §2.3),
 * norms 1, biases 0. Every tensor has its own random stream, named by the seed and its name.
 * @throws {ConfigError} as `checkDecoderConfig`.
 */
export function initializeWeights(config: DecoderConfig, seed: number): NamedTensor[] {
  checkDecoderConfig(config, 'initializeWeights');
  return parameterSpecs(config).map(({ name, shape }) => {
    const data = new Float32Array(elementCount(shape));
    if (shape.length === 1)
      return { name, shape, data: name.endsWith('norm.weight') ? data.fill(1) : data };
    const scale = residualProjection.test(name) ? 1 / Math.sqrt(2 * config.layers) : 1;
    const random = new RandomStream('initialize-weights', seed, name);
    for (let i = 0; i < data.length; i++) data[i] = DEVIATION * scale * random.normal();
    return { name, shape, data };
  });
}
