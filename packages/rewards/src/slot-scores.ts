// Scores of a whole answer, slot by slot: by position for masks, by the best matching for lists.
import type { Gold } from '@masksearch/core';
import { exactMatch, type AnswerMetric } from './answer-metrics.ts';
import { bestMatching } from './best-matching.ts';

export interface SlotRequest {
  /** What was answered, or null if nothing was. */
  readonly answer: readonly string[] | null;
  readonly golds: readonly Gold[];
  /** True where answer n belongs to gold n (masks); false where the order is free (lists). */
  readonly ordered: boolean;
}

/**
 * One score per gold. A slot without an answer scores 0; answers beyond the number of golds scale
 * all scores down by golds / answers, so that listing every candidate cannot pay.
 */
export function perSlotScores(request: SlotRequest, metric: AnswerMetric): number[] {
  const { golds, ordered } = request;
  const answer = request.answer ?? [];
  const surplus = Math.min(1, golds.length / Math.max(1, answer.length));
  const assigned = ordered
    ? golds.map((_, g) => g)
    : bestMatching(golds.map((gold) => answer.map((text) => metric(text, gold))));
  return golds.map((gold, g) => {
    const text = answer[assigned[g] ?? -1];
    return text === undefined ? 0 : surplus * metric(text, gold);
  });
}

/** 1 if there are as many answers as golds and every slot is exactly right, else 0. */
export function outcome(request: SlotRequest): 0 | 1 {
  if (request.answer?.length !== request.golds.length) return 0;
  return perSlotScores(request, exactMatch).every((score) => score === 1) ? 1 : 0;
}
