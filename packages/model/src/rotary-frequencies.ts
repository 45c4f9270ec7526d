// How fast each pair of a head turns with the position, with and without Llama 3's scaling.
import type { DecoderConfig } from './decoder-config.ts';

/**
 * Angle per position of the pairs (i, i + D/2).
 * @returns (D/2) float64, radians per token: theta^(−2i/D), with `ropeScaling` slowed as Llama 3 does it:
 *   pairs that turn fewer than `lowFrequencyFactor` times in the original context are divided by
 *   `factor`, those that turn more than `highFrequencyFactor` times stay, between them it is blended.
 * @see transformers, `_compute_llama3_parameters`
 */
export function rotaryFrequencies({
  headWidth: D,
  ropeTheta,
  ropeScaling,
}: Pick<DecoderConfig, 'headWidth' | 'ropeTheta' | 'ropeScaling'>): Float64Array {
  const plain = Float64Array.from({ length: D / 2 }, (_, i) => ropeTheta ** ((-2 * i) / D));
  if (ropeScaling === undefined) return plain;
  const { factor, lowFrequencyFactor: low, highFrequencyFactor: high } = ropeScaling;
  return plain.map((frequency) => {
    const turns = (ropeScaling.originalMaxPositions * frequency) / (2 * Math.PI);
    const kept = Math.min(Math.max((turns - low) / (high - low), 0), 1);
    return ((1 - kept) / factor + kept) * frequency;
  });
}
