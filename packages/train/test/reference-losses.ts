// The policy losses in float64 as plain loops, straight from the formulas; no tfjs.

export interface ReferenceToken {
  readonly logProb: number;
  readonly oldLogProb: number;
  readonly advantage: number;
  readonly weight: number;
  readonly mask: boolean;
}

export interface ReferenceBounds {
  readonly low: number;
  readonly high: number;
  readonly dualClip?: number | undefined;
}

/** Loss of one token: DAPO (arXiv:2503.14476) Eq. 8 with the sign turned, dual clip arXiv:1912.09729 Eq. 5. */
export function referenceTokenLoss(token: ReferenceToken, bounds: ReferenceBounds): number {
  if (!token.mask) return 0;
  const A = token.advantage;
  const ratio = Math.exp(token.logProb - token.oldLogProb);
  const clipped = Math.min(Math.max(ratio, 1 - bounds.low), 1 + bounds.high);
  let objective = Math.min(ratio * A, clipped * A);
  if (bounds.dualClip !== undefined && A < 0) objective = Math.max(objective, bounds.dualClip * A);
  return -objective * token.weight;
}

/** Mean over all masked-in tokens. */
export function referenceDapo(tokens: readonly ReferenceToken[], bounds: ReferenceBounds): number {
  const labels = tokens.filter(({ mask }) => mask).length;
  let total = 0;
  for (const token of tokens) total += referenceTokenLoss(token, bounds);
  return total / labels;
}

/** Mean over rows of each row's mean over its masked-in tokens. */
export function referenceGrpo(
  rows: readonly (readonly ReferenceToken[])[],
  bounds: ReferenceBounds,
): number {
  let total = 0;
  for (const row of rows) {
    const labels = row.filter(({ mask }) => mask).length;
    for (const token of row) total += referenceTokenLoss(token, bounds) / Math.max(labels, 1);
  }
  return total / rows.length;
}
