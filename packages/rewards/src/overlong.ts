// DAPO's soft penalty for long episodes.
import { ConfigError } from '@masksearch/core';

export interface OverlongLimits {
  /** Policy tokens beyond which the penalty is -1. */
  readonly maxTokens: number;
  /** Policy tokens before that limit over which the penalty grows from 0 to -1. */
  readonly cacheTokens: number;
}

/**
 * 0 up to maxTokens - cacheTokens, then linearly down to -1 at maxTokens, -1 beyond.
 * DAPO (arXiv:2503.14476) Eq. 13; we measure length in tokens that the policy wrote only.
 *
 * @throws {ConfigError} unless 0 < cacheTokens <= maxTokens.
 */
export function softOverlongPenalty(policyTokens: number, limits: OverlongLimits): number {
  const { maxTokens, cacheTokens } = limits;
  if (!(cacheTokens > 0 && cacheTokens <= maxTokens)) {
    throw new ConfigError(
      `softOverlongPenalty: expected 0 < cacheTokens <= maxTokens, received ${cacheTokens} and ${maxTokens}.`,
    );
  }
  const excess = policyTokens - (maxTokens - cacheTokens);
  if (excess <= 0) return 0;
  return policyTokens > maxTokens ? -1 : -excess / cacheTokens;
}
