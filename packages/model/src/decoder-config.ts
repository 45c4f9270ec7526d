// The shape of a decoder: Qwen2's architecture, in the words of Hugging Face's config.json.
import { ConfigError } from '@masksearch/core';

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
}
