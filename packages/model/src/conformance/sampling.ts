// What the tests of the sampler share: a prompt, a request, a turn on its own.
import type { GenerateRequest, GenerateResult, LanguageModel } from '../language-model.ts';
import { randomWeights } from './random-inputs.ts';
import { baseShape } from './shapes.ts';
import type { ConformanceOptions } from './suite.ts';

export const { config } = baseShape;
export const V = config.vocabularySize;
export const options = { maxSequences: 4, maxContextTokens: 64 };
export const request: GenerateRequest = { maxTokens: 12, stop: [], temperature: 1, turn: 0 };
export const prompt = Int32Array.of(3, 1, 4, 1, 5);

/** A model with random weights. */
export const start = (create: ConformanceOptions['create'], seed: number): Promise<LanguageModel> =>
  create({ config, weights: randomWeights(config, seed) });

/** One turn of one sequence in a sampler of its own. */
export async function sampleAlone(
  model: LanguageModel,
  tokens: Int32Array,
  key: readonly [number, number],
  change: Partial<GenerateRequest> = {},
): Promise<GenerateResult> {
  const sampler = model.sampler(options);
  try {
    return await sampler.open(tokens, key).generate({ ...request, ...change });
  } finally {
    await sampler.close();
  }
}
