// How many groups of a round will survive the filter, learned from recent rounds.
import { z } from 'zod';

/** Groups that the estimate looks back on; older ones fade out. */
const RECENT_GROUPS = 64;

/** Faded counts of recent groups. */
export const acceptRateSchema = z.strictObject({
  accepted: z.number().min(0),
  rejected: z.number().min(0),
});
export type AcceptRate = z.infer<typeof acceptRateSchema>;

export const NO_GROUPS_SEEN: AcceptRate = { accepted: 0, rejected: 0 };

/** The counts after one more round. */
export function observeRound(rate: AcceptRate, accepted: number, rejected: number): AcceptRate {
  const fade = (1 - 1 / RECENT_GROUPS) ** (accepted + rejected);
  return { accepted: rate.accepted * fade + accepted, rejected: rate.rejected * fade + rejected };
}

/** Mean of the posterior Beta(1 + accepted, 1 + rejected): 0.5 before anything was seen. */
export function expectedAcceptRate(rate: AcceptRate): number {
  return (1 + rate.accepted) / (2 + rate.accepted + rate.rejected);
}
