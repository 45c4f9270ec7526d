// Limits and choices of an episode; every one is the caller's to change.
import { ConfigError } from '@masksearch/core';
import { z } from 'zod';

const tokens = (fallback: number) => z.int().min(1).default(fallback);

export const episodeConfigSchema = z.strictObject({
  /** Tokens of one policy turn. */
  maxTurnTokens: tokens(128),
  /** Tokens the policy writes in the whole episode. */
  maxPolicyTokens: tokens(512),
  /** Policy turns. The last one must answer. */
  maxTurns: z.int().min(1).max(64).default(12),
  /** Tokens of prompt, policy and tool together; at most the sampler's context. */
  maxContextTokens: tokens(2048),
  /** Tokens of one `<information>` block, its tags included. */
  maxInformationTokens: tokens(384),
  /** Passages per search. */
  topK: z.int().min(1).max(100).default(4),
  /** Of the sampler; 0 is greedy. */
  temperature: z.number().min(0).max(10).default(1),
  /** Of the sampler: share of the nucleus; 1 samples from all tokens. */
  topP: z.number().min(0).max(1).default(1),
  /** Milliseconds until a search fails. */
  searchTimeoutMs: z.int().min(1).default(10_000),
  /** Milliseconds until an episode ends where it is. */
  episodeTimeoutMs: z.int().min(1).default(600_000),
  /** What a RAMP answer is: the slot texts joined by ` ; `, or the whole filled paragraph. */
  answerForm: z.enum(['slots', 'paragraph']).default('slots'),
});
export type EpisodeConfig = z.infer<typeof episodeConfigSchema>;

/** Fills in defaults. @throws {ConfigError} naming the key that is unknown, out of range or impossible. */
export function resolveEpisodeConfig(values: z.input<typeof episodeConfigSchema>): EpisodeConfig {
  const result = episodeConfigSchema.safeParse(values);
  if (!result.success) {
    const issue = result.error.issues[0];
    throw new ConfigError(
      `episode config: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'is invalid'}.`,
      { cause: result.error },
    );
  }
  return result.data;
}
