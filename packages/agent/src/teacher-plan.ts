// The oracle's plan: what to look up in which order, and what would count as having found it.
import type { Gold, Task } from '@masksearch/core';
import { queriesForGap, queriesForStep } from './query-rewriter.ts';

export interface PlanStep {
  /** Tried in order until one finds. */
  readonly queries: readonly string[];
  readonly looksFor: Gold;
}

/** One step per gap in text order, or the steps of the question. */
export function planOf(task: Task): PlanStep[] {
  if (task.type === 'ramp') {
    return task.slots.map((slot, i) => ({
      queries: queriesForGap(task.masked, i),
      looksFor: { text: slot.text, aliases: slot.aliases },
    }));
  }
  // Questions that come without steps are looked up as they are.
  const steps =
    task.steps.length > 0
      ? task.steps
      : task.golds.map((gold) => ({ query: task.question, answer: gold }));
  return steps.map(({ query, answer }) => ({
    queries: queriesForStep(query, task.question),
    looksFor: answer,
  }));
}
