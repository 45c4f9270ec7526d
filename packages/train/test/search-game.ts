// The smallest task that needs a search: ask, read what the tool wrote, answer. Played by a BigramModel.
import { RandomStream, type Sample } from '@masksearch/core';
import type { Collect, CollectContext, CollectRequest } from '../src/index.ts';
import type { BigramModel } from './bigram-model.ts';

export const GAME_VOCABULARY = 16;
const BEGIN = 0;
const QUESTION = 1; // .. 4
const SEARCH = 5;
const NOTHING = 6;
const EVIDENCE = 7; // .. 10
const ANSWER = 11; // .. 14

export interface GameTask {
  readonly id: string;
  readonly group: string;
  readonly question: number;
}

/** Four questions, two in group k1 and two in k2. */
export const GAME_TASKS: readonly GameTask[] = [0, 1, 2, 3].map((question) => ({
  id: `question-${question}`,
  group: question < 2 ? 'k1' : 'k2',
  question,
}));

/** Plays one episode; everything depends on (seed, serial, sample index) and the weights. */
export function playGame(
  model: BigramModel,
  { task, serial }: CollectRequest<GameTask>,
  sampleIndex: number,
  { version }: CollectContext,
): Sample {
  const random = new RandomStream('game', serial, sampleIndex);
  const prompt = [
    ...Array.from({ length: 1 + random.below(3) }, () => BEGIN),
    QUESTION + task.question,
  ];
  const ids = [...prompt];
  const logProbs = ids.map(() => 0);
  const act = (): number => {
    const token = drawToken(model.logProbsAfter(ids.at(-1) as number), random.uniform());
    ids.push(token.id);
    logProbs.push(token.logProb);
    return token.id;
  };
  const isSearch = act() === SEARCH;
  ids.push(isSearch ? EVIDENCE + task.question : NOTHING);
  logProbs.push(0);
  const isRight = act() === ANSWER + task.question;
  const n = ids.length;
  return {
    version: 1,
    taskId: task.id,
    group: task.group,
    sampleIndex,
    policyVersion: version,
    ids,
    mask: ids.map((_, t) => (t === n - 3 || t === n - 1 ? 1 : 0)),
    logProbs,
    segments: [
      { author: 'user', start: 0, end: n - 3 },
      { author: 'policy', start: n - 3, end: n - 2 },
      { author: 'tool', start: n - 2, end: n - 1 },
      { author: 'policy', start: n - 1, end: n },
    ],
    searches: isSearch ? [{ query: task.id, provider: 'game', results: [] }] : [],
    answer: [String(ids[n - 1])],
    finishReason: 'answer',
    rewardTerms: { format: isSearch ? 1 : 0, answer: isRight ? 1 : 0 },
    reward: (isRight ? 0.9 : 0) + (isSearch ? 0.1 : 0),
    outcome: isRight ? 1 : 0,
  };
}

/** Plays all samples of all requests. */
export function collectGame(model: BigramModel): Collect<GameTask> {
  return async (requests, context) =>
    requests.map((request) =>
      Array.from({ length: request.samples }, (_, index) =>
        playGame(model, request, index, context),
      ),
    );
}

function drawToken(logProbs: Float32Array, uniform: number): { id: number; logProb: number } {
  let below = 0;
  for (const [id, logProb] of logProbs.entries()) {
    below += Math.exp(logProb);
    if (uniform < below) return { id, logProb };
  }
  const id = logProbs.length - 1;
  return { id, logProb: logProbs[id] as number };
}
