// Settings of the task maker: units, defaults, ranges.
import { ConfigError } from '@masksearch/core';
import { z } from 'zod';

export const rampConfigSchema = z.strictObject({
  ks: z
    .array(z.int().min(1).max(16))
    .min(1)
    .default([1, 2, 3, 4])
    .describe('Numbers of masks. Default 1..4 (MaskSearch, 0 < k < 5).'),
  ksPerPassage: z
    .int()
    .min(1)
    .nullable()
    .default(null)
    .describe('How many of the ks are drawn per passage; null = a task for every k.'),
  spans: z
    .enum(['salient', 'random', 'model', 'perplexity'])
    .default('salient')
    .describe(
      'What is masked: salient spans at random, random words of the same lengths (control), spans that a language model lists, or the salient spans that a model finds hardest.',
    ),
  rules: z
    .enum(['never', 'unannotated', 'always'])
    .default('unannotated')
    .describe('Use the rule-based extractor: never, on documents without annotations, or always.'),
  minWords: z.int().min(1).default(8).describe('Words; shorter passages are rejected.'),
  maxWords: z.int().min(1).default(400).describe('Words; longer passages are rejected.'),
  allowLeadingMask: z.boolean().default(false).describe('May a paragraph start with a mask?'),
  requireRetrievable: z
    .boolean()
    .default(true)
    .describe('Keep a task only if search finds every slot without the source.'),
  excludeDocument: z
    .boolean()
    .default(true)
    .describe('Hide the whole source document from search, not only the source passage.'),
  evidenceTopK: z.int().min(1).max(1000).default(10).describe('Results looked through per slot.'),
  draws: z.int().min(1).max(1000).default(8).describe('Draws of spans before a k is given up.'),
  searchTimeoutMs: z.int().min(1).default(10_000).describe('Milliseconds per search call.'),
});
export type RampConfig = z.infer<typeof rampConfigSchema>;

/**
 * A complete configuration from a partial one.
 * @throws {ConfigError} a key is unknown, a value is out of range, or values contradict each other.
 */
export function resolveRampConfig(partial: z.input<typeof rampConfigSchema>): RampConfig {
  const parsed = rampConfigSchema.safeParse(partial);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new ConfigError(`ramp: ${issue?.path.join('.') || 'config'}: ${issue?.message}.`, {
      cause: parsed.error,
    });
  }
  const config = parsed.data;
  if (new Set(config.ks).size !== config.ks.length) {
    throw new ConfigError(`ramp: expected distinct ks, received ${config.ks.join(', ')}.`);
  }
  if (config.ksPerPassage !== null && config.ksPerPassage > config.ks.length) {
    throw new ConfigError(
      `ramp: expected ksPerPassage to be at most the number of ks (${config.ks.length}), received ${config.ksPerPassage}.`,
    );
  }
  if (config.minWords > config.maxWords) {
    throw new ConfigError(
      `ramp: expected minWords <= maxWords, received ${config.minWords} and ${config.maxWords}.`,
    );
  }
  return config;
}
