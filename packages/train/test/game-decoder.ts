// The smallest real decoder that can play the search game.
import type { DecoderConfig } from '@masksearch/model';
import { GAME_VOCABULARY } from './search-game.ts';

export const GAME_DECODER: DecoderConfig = {
  vocabularySize: GAME_VOCABULARY,
  width: 16,
  layers: 2,
  heads: 2,
  keyValueHeads: 1,
  headWidth: 8,
  feedForwardWidth: 24,
  ropeTheta: 10_000,
  normEpsilon: 1e-6,
  maxPositions: 32,
  attentionBias: true,
  tiedEmbeddings: true,
};
