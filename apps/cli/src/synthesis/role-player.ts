// A model that plays whole episodes in token ids, behind an endpoint or in this process.
import type { Sampler } from '@masksearch/model';
import type { Tokenizer } from '@masksearch/tokenizer';

/** What a run's episodes need of their sampler. */
export interface PlayerUse {
  readonly tokenizer: Tokenizer;
  readonly maxContextTokens: number;
}

export interface RolePlayer {
  /** Recorded with what it made. */
  readonly name: string;
  /** Stays the player's. @throws {ConfigError} the model has another tokenizer. */
  readonly samplerFor: (use: PlayerUse) => Sampler;
}
