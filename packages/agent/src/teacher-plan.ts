// The oracle's plan: what to look up in which order, and what would count as having found it.
import {
  RandomStream,
  type Gold,
  type MaskTask,
  type QuestionTask,
  type Task,
} from '@masksearch/core';
import {
  gapsOfSentence,
  namesAroundGap,
  namesOf,
  queriesForGap,
  queriesForStep,
} from './query-rewriter.ts';

export interface PlanStep {
  /** From 1: of the sentence with the gap as the prompt numbers them, or of the step of a question. */
  readonly number: number;
  /** Tried in order until one finds. */
  readonly queries: readonly string[];
  readonly looksFor: Gold;
  /** Names one of which must stand with the finding, so that it is no coincidence; none if the text has none. */
  readonly anchors: readonly string[];
}

/**
 * One step per gap in text order, or the steps of the question.
 * @param seed Draws in which order a step tries its queries, the last of which stays the last resort; without it the
 *   surest comes first.
 */
export function planOf(task: Task, seed?: number): PlanStep[] {
  const steps = task.type === 'ramp' ? gapSteps(task) : questionSteps(task);
  if (seed === undefined) return steps;
  return steps.map((step) => {
    const stream = new RandomStream(seed, 'teacher-queries', task.id, step.number);
    const last = step.queries.slice(-1);
    return { ...step, queries: [...stream.shuffled(step.queries.slice(0, -1)), ...last] };
  });
}

function gapSteps(task: MaskTask): PlanStep[] {
  return task.slots.map((slot, i) => ({
    number: sentenceNumber(task, i),
    queries: queriesForGap(task.masked, i),
    looksFor: { text: slot.text, aliases: slot.aliases },
    anchors: anchorsOf(task, i),
  }));
}

function questionSteps(task: QuestionTask): PlanStep[] {
  // Questions that come without steps are looked up as they are.
  const steps =
    task.steps.length > 0
      ? task.steps
      : task.golds.map((gold) => ({ query: task.question, answer: gold }));
  return steps.map(({ query, answer }, i) => ({
    number: i + 1,
    queries: queriesForStep(query, task.question),
    looksFor: answer,
    anchors: namesOf(query),
  }));
}

/** Which of the sentences with gaps holds this one. */
function sentenceNumber({ masked, slots }: MaskTask, gap: number): number {
  const opens = slots.map((_, i) => gapsOfSentence(masked, i)[0] === i);
  return opens.slice(0, gap + 1).filter(Boolean).length;
}

/** The names around a gap, with what fills the other gaps of its sentence; none if there are no names. */
function anchorsOf({ masked, slots }: MaskTask, gap: number): string[] {
  const names = namesAroundGap(masked, gap);
  if (names.length === 0) return [];
  const neighbours = gapsOfSentence(masked, gap).filter((other) => other !== gap);
  return [...names, ...neighbours.flatMap((other) => slots[other]?.text ?? [])];
}
