// The truncated geometric distribution of SpanBERT's run lengths, as thresholds for random words.

/**
 * Thresholds (maxLength) float64: a run has length i + 1 for the first i with word < thresholds[i],
 * where word is uniform over 0..2^32 - 1. P(length = l) is proportional to stop · (1 - stop)^(l - 1).
 */
export function lengthThresholds(stop: number, maxLength: number): Float64Array {
  const cumulative = new Float64Array(maxLength);
  let weight = stop;
  let sum = 0;
  for (let i = 0; i < maxLength; i++) {
    sum += weight;
    cumulative[i] = sum;
    weight *= 1 - stop;
  }
  return cumulative.map((value) => (value / sum) * 2 ** 32);
}
