// Small tasks for this package's tests.
import type { MaskTask, QuestionTask } from '@masksearch/core';

/** A question whose answers are `golds`. */
export function questionTask(id: string, group: string, golds: readonly string[]): QuestionTask {
  return {
    version: 1,
    id,
    type: 'qa',
    group,
    difficulty: 0.5,
    excludedPassages: [],
    question: `What is ${id}?`,
    golds: golds.map((text) => ({ text, aliases: [] })),
    supporting: [],
    steps: [],
  };
}

/** A paragraph with two masks: Tusade and 1874. */
export function maskTask(id: string): MaskTask {
  return {
    version: 1,
    id,
    type: 'ramp',
    group: 'k2',
    difficulty: 0.5,
    excludedPassages: [],
    documentId: 'd',
    passageId: 'd#0',
    title: 'Karo Belin',
    text: 'Karo Belin was born in Tusade in 1874.',
    masked: 'Karo Belin was born in [mask] in [mask].',
    slots: [
      { start: 23, end: 29, text: 'Tusade', kind: 'place', aliases: [] },
      { start: 33, end: 37, text: '1874', kind: 'date', aliases: [] },
    ],
    k: 2,
    retrievable: [true, true],
  };
}
