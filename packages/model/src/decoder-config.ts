// The shape of a decoder: the architecture that Qwen2, Qwen3 and Llama 3 share, and where they differ.
import { ConfigError } from '@masksearch/core';

/**
 * Llama 3's stretched rotary positions: slow frequencies are divided by `factor`, fast ones stay.
 * @see rotaryFrequencies
 */
export interface Llama3RopeScaling {
  readonly type: 'llama3';
  readonly factor: number;
  /** Pairs that turn less often than this within the original context are divided by the factor. */
  readonly lowFrequencyFactor: number;
  /** Pairs that turn more often than this stay as they are; > lowFrequencyFactor. */
  readonly highFrequencyFactor: number;
  /** Context in tokens before stretching. */
  readonly originalMaxPositions: number;
}

/** Sizes and constants of a decoder. */
export interface DecoderConfig {
  readonly vocabularySize: number; // V
  readonly width: number; // C, hidden_size
  readonly layers: number; // L
  readonly heads: number; // H
  readonly keyValueHeads: number; // K, divides H
  readonly headWidth: number; // D, even
  readonly feedForwardWidth: number; // F
  readonly ropeTheta: number;
  readonly normEpsilon: number;
  /** Longest sequence in tokens. */
  readonly maxPositions: number;
  /** q, k and v projections have biases (Qwen2: true). */
  readonly attentionBias: boolean;
  /** The embedding matrix is also the output projection. */
  readonly tiedEmbeddings: boolean;
  /** Queries and keys of each head pass through an RMSNorm before they are turned (Qwen3: true). Default false. */
  readonly queryKeyNorm?: boolean;
  /** Absent: rotary frequencies are ropeTheta^(−2i/D). */
  readonly ropeScaling?: Llama3RopeScaling;
}

const sizes = [
  'vocabularySize',
  'width',
  'layers',
  'heads',
  'keyValueHeads',
  'headWidth',
  'feedForwardWidth',
  'maxPositions',
] as const;

/** Every size is an int32 in the native engine. */
const LARGEST_SIZE = 2 ** 31 - 1;

/**
 * Checks that a decoder of these sizes can exist.
 * @throws {ConfigError} A size is not a positive integer, or two sizes contradict each other.
 */
export function checkDecoderConfig(config: DecoderConfig, where = 'decoder config'): void {
  for (const name of sizes) {
    const value = config[name];
    if (!Number.isInteger(value) || value < 1 || value > LARGEST_SIZE) {
      throw new ConfigError(
        `${where}: expected ${name} to be an integer in 1..2^31-1, received ${value}.`,
      );
    }
  }
  const { heads, keyValueHeads, headWidth, ropeTheta, normEpsilon } = config;
  if (heads % keyValueHeads !== 0) {
    throw new ConfigError(
      `${where}: expected heads to be a multiple of keyValueHeads, received ${heads} and ${keyValueHeads}.`,
    );
  }
  if (headWidth % 2 !== 0) {
    throw new ConfigError(
      `${where}: expected headWidth to be even, received ${headWidth}; rotary embedding turns pairs.`,
    );
  }
  if (!(Number.isFinite(ropeTheta) && ropeTheta > 0)) {
    throw new ConfigError(`${where}: expected ropeTheta > 0, received ${ropeTheta}.`);
  }
  if (!(Number.isFinite(normEpsilon) && normEpsilon > 0)) {
    throw new ConfigError(`${where}: expected normEpsilon > 0, received ${normEpsilon}.`);
  }
  if (config.ropeScaling !== undefined) checkRopeScaling(config.ropeScaling, where);
}

function checkRopeScaling(scaling: Llama3RopeScaling, where: string): void {
  const { factor, lowFrequencyFactor: low, highFrequencyFactor: high } = scaling;
  if (!(Number.isFinite(factor) && factor >= 1)) {
    throw new ConfigError(`${where}: expected a rope scaling factor >= 1, received ${factor}.`);
  }
  if (!(low > 0 && high > low && Number.isFinite(high))) {
    throw new ConfigError(
      `${where}: expected rope scaling with 0 < low_freq_factor < high_freq_factor, received ${low} and ${high}.`,
    );
  }
  const original = scaling.originalMaxPositions;
  if (!Number.isInteger(original) || original < 1 || original > LARGEST_SIZE) {
    throw new ConfigError(
      `${where}: expected original_max_position_embeddings to be an integer in 1..2^31-1, received ${original}.`,
    );
  }
}
