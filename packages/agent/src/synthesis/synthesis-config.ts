// Limits and choices of trajectory making by language models; episode limits are in episode-config.ts.
import { ConfigError } from '@masksearch/core';
import { z } from 'zod';

export const synthesisConfigSchema = z.strictObject({
  /** Of the prompts; `auto` goes by the task's text. */
  language: z.enum(['auto', 'en', 'zh']).default('auto'),
  /** Queries of one search turn at most. */
  queriesPerSearch: z.int().min(1).max(8).default(3),
  /** Reflections in a row; after them the observer must answer or go on. */
  maxReflections: z.int().min(0).max(32).default(2),
  /** Of planner, rewriter and observer; the judge is always greedy. */
  temperature: z.number().min(0).max(2).default(0.7),
  /** Of the same roles: share of the nucleus; 1 samples from all tokens. */
  topP: z.number().min(0).max(1).default(1),
  /** Tokens that a role may write in one reply. */
  maxReplyTokens: z.int().min(16).default(512),
  /** Who decides what is kept: the rule check, the judge model, or both. */
  acceptance: z.enum(['rule', 'model', 'both']).default('both'),
  /** Must the answer stand in what was retrieved? Without it a guess that is right is kept. */
  requireSupport: z.boolean().default(true),
});
export type SynthesisConfig = z.output<typeof synthesisConfigSchema>;

/** Fills in defaults. @throws {ConfigError} naming the key that is unknown or out of range. */
export function resolveSynthesisConfig(
  values: z.input<typeof synthesisConfigSchema>,
): SynthesisConfig {
  const result = synthesisConfigSchema.safeParse(values);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new ConfigError(
    `synthesis: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'is invalid'}.`,
    { cause: result.error },
  );
}
