// Small tasks for tests; each test names only what it is about.
import type { MaskTask, QuestionTask } from './records.ts';

/** A question of one hop, with `values` in place of its own. */
export function questionTask(values: Partial<QuestionTask> = {}): QuestionTask {
  return {
    version: 1,
    id: 'question',
    type: 'qa',
    group: 'hop1',
    difficulty: 0.5,
    excludedPassages: [],
    question: 'Where was Karo Belin born?',
    golds: [{ text: 'Tusade', aliases: [] }],
    supporting: [],
    steps: [],
    ...values,
  };
}

/** A paragraph with two masks, Tusade and 1874, with `values` in place of its own. */
export function maskTask(values: Partial<MaskTask> = {}): MaskTask {
  return {
    version: 1,
    id: 'mask',
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
    ...values,
  };
}
