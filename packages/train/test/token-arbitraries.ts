// Random tokens for property tests, away from the kinks of the clipped surrogate.
import fc from 'fast-check';
import type { ReferenceBounds, ReferenceToken } from './reference-losses.ts';

/** Distance from every kink: central differences of 1e-4 nats must not step over one. */
const KINK_DISTANCE = 1e-2;

const float32 = (min: number, max: number) => fc.double({ min, max, noNaN: true }).map(Math.fround);

export const boundsArbitrary: fc.Arbitrary<ReferenceBounds> = fc.record({
  low: fc.constantFrom(0.1, 0.2, 0.5),
  high: fc.constantFrom(0.2, 0.28, 1),
  dualClip: fc.constantFrom(undefined, 3, 10),
});

/** A token whose ratio is not within KINK_DISTANCE of a bound, nor its advantage of 0. */
export function tokenArbitrary(bounds: ReferenceBounds): fc.Arbitrary<ReferenceToken> {
  const kinks = [1 - bounds.low, 1 + bounds.high, bounds.dualClip ?? 1 + bounds.high];
  return fc
    .record({
      logProb: float32(-8, -0.01),
      logRatio: float32(-2, 2),
      advantage: float32(-3, 3).filter((A) => Math.abs(A) > 0.01),
      weight: float32(0.1, 2),
      mask: fc.boolean(),
    })
    .filter(({ logRatio }) =>
      kinks.every((kink) => Math.abs(Math.exp(logRatio) - kink) > KINK_DISTANCE * kink),
    )
    .map(({ logRatio, ...token }) => ({
      ...token,
      oldLogProb: Math.fround(token.logProb - logRatio),
    }));
}
