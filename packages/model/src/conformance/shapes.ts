// The shape grid of the conformance suite: each shape is there for a reason.
import type { DecoderConfig } from '../decoder-config.ts';

export interface ConformanceShape {
  readonly name: string;
  /** Why it is in the grid. */
  readonly why: string;
  readonly config: DecoderConfig;
  /** (B) tokens of each sequence of the batch. */
  readonly lengths: readonly number[];
}

/** Qwen2.5-0.5B: for what has to hold at a real size. Not in the grid. */
export const qwen25HalfBillion: DecoderConfig = {
  vocabularySize: 151_936,
  width: 896,
  layers: 24,
  heads: 14,
  keyValueHeads: 2,
  headWidth: 64,
  feedForwardWidth: 4864,
  ropeTheta: 1_000_000,
  normEpsilon: 1e-6,
  maxPositions: 32_768,
  attentionBias: true,
  tiedEmbeddings: true,
};

const base: DecoderConfig = {
  vocabularySize: 29,
  width: 16,
  layers: 2,
  heads: 4,
  keyValueHeads: 2,
  headWidth: 8,
  feedForwardWidth: 24,
  ropeTheta: 10_000,
  normEpsilon: 1e-6,
  maxPositions: 128,
  attentionBias: true,
  tiedEmbeddings: true,
};

export const baseShape: ConformanceShape = {
  name: 'base',
  why: 'grouped queries, biases, tied, sequences of different lengths and one of a single token',
  config: base,
  lengths: [9, 1, 5],
};

const shape = (
  name: string,
  why: string,
  config: Partial<DecoderConfig>,
  lengths: readonly number[],
): ConformanceShape => ({ name, why, config: { ...base, ...config }, lengths });

export const shapeGrid: readonly ConformanceShape[] = [
  baseShape,
  shape(
    'smallest',
    'every size at its least',
    {
      vocabularySize: 1,
      width: 1,
      layers: 1,
      heads: 1,
      keyValueHeads: 1,
      headWidth: 2,
      feedForwardWidth: 1,
    },
    [2],
  ),
  shape(
    'odd',
    'no size is a multiple of a vector, heads times their width is not the width',
    { vocabularySize: 13, width: 7, heads: 3, keyValueHeads: 1, headWidth: 6, feedForwardWidth: 5 },
    [3, 7],
  ),
  shape(
    '31',
    'one below a vector or tile, in widths and in tokens',
    { vocabularySize: 31, width: 31, feedForwardWidth: 31, headWidth: 30 },
    [31],
  ),
  shape(
    '32',
    'exactly a tile',
    { vocabularySize: 32, width: 32, feedForwardWidth: 32, headWidth: 32, layers: 1 },
    [32],
  ),
  shape(
    '33',
    'one above a tile',
    { vocabularySize: 33, width: 33, feedForwardWidth: 33, headWidth: 34, layers: 1 },
    [33],
  ),
  shape('two tiles', 'attention crosses two tile borders', { layers: 1 }, [65, 31, 33]),
  shape('multi-query', 'all heads share one key', { heads: 6, keyValueHeads: 1 }, [6, 11]),
  shape('multi-head', 'every head has its own key', { heads: 3, keyValueHeads: 3 }, [6, 11]),
  shape(
    'untied',
    'a head of its own, no biases',
    { tiedEmbeddings: false, attentionBias: false },
    [12, 4],
  ),
  shape(
    'qwen3',
    'queries and keys are normalised; heads times their width is not the width',
    { attentionBias: false, queryKeyNorm: true, headWidth: 10, tiedEmbeddings: false },
    [13, 1, 6],
  ),
  shape(
    'qwen3, two tiles',
    'normalised rows in several tiles, one sequence',
    { attentionBias: false, queryKeyNorm: true, layers: 1, keyValueHeads: 1 },
    [67],
  ),
  shape(
    'llama3',
    'scaled rotary positions: of four pairs one stays, one is blended, two are divided',
    {
      attentionBias: false,
      ropeTheta: 500,
      ropeScaling: {
        type: 'llama3',
        factor: 8,
        lowFrequencyFactor: 1,
        highFrequencyFactor: 4,
        originalMaxPositions: 64,
      },
    },
    [40, 3],
  ),
  shape('single', 'B = 1', {}, [14]),
  shape(
    'many short',
    'more sequences than a tile has rows',
    {},
    Array.from({ length: 40 }, (_, b) => 1 + (b % 4)),
  ),
  shape(
    'real vocabulary',
    "Qwen2.5's vocabulary, V = 151,936",
    { vocabularySize: 151_936, width: 6, layers: 1, headWidth: 4, feedForwardWidth: 8 },
    [3, 2],
  ),
];
