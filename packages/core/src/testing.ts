// Small records for tests and benches; each names only what it is about.
import type { Author, MaskTask, QuestionTask, Sample } from './records.ts';

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

/** What one author wrote of a sample. */
export interface SampleTurn {
  readonly author: Author;
  readonly ids: ArrayLike<number>;
  /** Of the policy's tokens, nats; -1 each if left out. */
  readonly logProbs?: ArrayLike<number>;
}

/** A sample in which these turns follow each other, with `values` in place of its own. */
export function sampleOfTurns(turns: readonly SampleTurn[], values: Partial<Sample> = {}): Sample {
  const ids: number[] = [];
  const mask: number[] = [];
  const logProbs: number[] = [];
  const segments: Sample['segments'] = [];
  for (const turn of turns) {
    const start = ids.length;
    const isPolicy = turn.author === 'policy';
    for (let t = 0; t < turn.ids.length; t++) {
      ids.push(turn.ids[t] as number);
      mask.push(isPolicy ? 1 : 0);
      logProbs.push(isPolicy ? (turn.logProbs?.[t] ?? -1) : 0);
    }
    segments.push({ author: turn.author, start, end: ids.length });
  }
  return {
    version: 1,
    taskId: 'task',
    group: 'k1',
    sampleIndex: 0,
    policyVersion: 0,
    ids,
    mask,
    logProbs,
    segments,
    searches: [],
    answer: null,
    finishReason: 'answer',
    rewardTerms: {},
    reward: 0,
    outcome: 0,
    ...values,
  };
}
