// The tokens that a draw is left with: those that are allowed, and of them the nucleus.
import type { GenerateRequest } from './language-model.ts';

/**
 * Scores of the tokens that may be drawn, in proportion to the model's probabilities; −Infinity for the others. The row
 * itself where nothing is ruled out, so that its draws stay what they are.
 *
 * @param logProbs (V) nats, at the temperature of the draw.
 * @returns        (V) nats, up to a constant.
 */
export function drawable(
  logProbs: Float32Array,
  { topP = 1, allowed }: Pick<GenerateRequest, 'topP' | 'allowed'>,
): Float32Array {
  if (topP === 1 && allowed === undefined) return logProbs;
  const left = logProbs.map((logProb, v) => (isAllowed(allowed, v) ? logProb : -Infinity));
  const largest = left.reduce((most, logProb) => Math.max(most, logProb), -Infinity);
  const scores = left.map((logProb) => logProb - largest); // the best must not underflow
  return topP === 1 ? scores : nucleus(scores, topP);
}

function isAllowed(allowed: Uint32Array | undefined, v: number): boolean {
  return allowed === undefined || (((allowed[v >>> 5] as number) >>> (v & 31)) & 1) === 1;
}

/** Keeps the heaviest tokens, the lower id first among equals, until they hold `topP` of the sum. */
function nucleus(scores: Float32Array, topP: number): Float32Array {
  const weights = Float64Array.from(scores, (score) => Math.exp(score));
  const wanted = topP * weights.reduce((sum, weight) => sum + weight, 0);
  const order = Int32Array.from(scores, (_, v) => v);
  order.sort((a, b) => (scores[b] as number) - (scores[a] as number) || a - b);
  const kept = new Float32Array(scores.length).fill(-Infinity);
  let held = 0;
  for (const v of order) {
    kept[v] = scores[v] as number;
    held += weights[v] as number;
    if (held >= wanted) break;
  }
  return kept;
}
