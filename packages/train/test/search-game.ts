// The smallest task that needs a search: ask, read what the tool wrote, answer.
import { RandomStream, streamKey, type Sample } from '@masksearch/core';
import { sampleOfTurns } from '@masksearch/core/testing';
import type { LanguageModel, SamplerSequence } from '@masksearch/model';
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

/** Picks the next token after `ids`, all that was said so far. */
export type Player = (ids: readonly number[]) => Promise<{ id: number; logProb: number }>;

/** Plays one episode. The prompt's length depends on (serial, sample index): samples are ragged. */
export async function playGame(
  player: Player,
  { task, serial }: CollectRequest<GameTask>,
  sampleIndex: number,
  { version }: CollectContext,
): Promise<Sample> {
  const begins = 1 + new RandomStream('game-prompt', serial, sampleIndex).below(3);
  const prompt = [...Array.from({ length: begins }, () => BEGIN), QUESTION + task.question];
  const query = await player(prompt);
  const isSearch = query.id === SEARCH;
  const found = isSearch ? EVIDENCE + task.question : NOTHING;
  const answer = await player([...prompt, query.id, found]);
  const isRight = answer.id === ANSWER + task.question;
  const turns = [
    { author: 'user', ids: prompt },
    { author: 'policy', ids: [query.id], logProbs: [query.logProb] },
    { author: 'tool', ids: [found] },
    { author: 'policy', ids: [answer.id], logProbs: [answer.logProb] },
  ] as const;
  return sampleOfTurns(turns, {
    taskId: task.id,
    group: task.group,
    sampleIndex,
    policyVersion: version,
    searches: isSearch ? [{ query: task.id, provider: 'game', results: [] }] : [],
    answer: [String(answer.id)],
    rewardTerms: { format: isSearch ? 1 : 0, answer: isRight ? 1 : 0 },
    reward: (isRight ? 0.9 : 0) + (isSearch ? 0.1 : 0),
    outcome: isRight ? 1 : 0,
  });
}

/** Plays all samples of all requests with a bigram model. */
export function collectGame(model: BigramModel): Collect<GameTask> {
  return (requests, context) =>
    playAll(requests, context, ({ serial }, sampleIndex) => {
      const random = new RandomStream('game', serial, sampleIndex);
      return async (ids) => drawToken(model.logProbsAfter(ids.at(-1) as number), random.uniform());
    });
}

/** The same with the sampler of any model: continuous batching, the cache kept between turns. */
export function collectGameBySampler(model: LanguageModel): Collect<GameTask> {
  return async (requests, context) => {
    const sampler = model.sampler({ maxSequences: 8, maxContextTokens: 16 });
    const groups = await playAll(requests, context, ({ serial }, sampleIndex) => {
      let sequence: SamplerSequence | undefined;
      let turn = 0;
      return async (ids) => {
        sequence ??= sampler.open(Int32Array.from(ids), streamKey('game', serial, sampleIndex));
        if (ids.length > sequence.length)
          sequence.append(Int32Array.from(ids.slice(sequence.length)));
        const result = await sequence.generate({
          maxTokens: 1,
          stop: [],
          temperature: 1,
          turn: turn++,
        });
        return { id: result.tokens[0] as number, logProb: result.logProbs[0] as number };
      };
    });
    await sampler.close();
    return groups;
  };
}

function playAll(
  requests: readonly CollectRequest<GameTask>[],
  context: CollectContext,
  playerOf: (request: CollectRequest<GameTask>, sampleIndex: number) => Player,
): Promise<Sample[][]> {
  return Promise.all(
    requests.map((request) =>
      Promise.all(
        Array.from({ length: request.samples }, (_, index) =>
          playGame(playerOf(request, index), request, index, context),
        ),
      ),
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
