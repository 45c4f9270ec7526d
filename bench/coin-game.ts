// The cheapest task for a DAPO step of a large random model: a sample is right if its first token is an even one.
import { streamKey, type Sample } from '../packages/core/src/index.ts';
import { sampleOfTurns } from '../packages/core/src/testing.ts';
import type { LanguageModel, Sampler } from '../packages/model/src/index.ts';
import type { Collect, CollectRequest } from '../packages/train/src/index.ts';

export interface CoinTask {
  readonly id: string;
  readonly group: string;
  readonly prompt: Int32Array;
}

/** Plays all samples of a round together. */
export function playCoins(
  model: LanguageModel,
  { sequences, newTokens }: { readonly sequences: number; readonly newTokens: number },
): Collect<CoinTask> {
  return async (requests, { version }) => {
    const longest = Math.max(...requests.map(({ task }) => task.prompt.length));
    const maxContextTokens = longest + newTokens;
    const sampler = model.sampler({ maxSequences: sequences, maxContextTokens });
    try {
      return await Promise.all(
        requests.map((request) =>
          Promise.all(
            Array.from({ length: request.samples }, (_, sampleIndex) =>
              playOne(sampler, request, { sampleIndex, version, newTokens }),
            ),
          ),
        ),
      );
    } finally {
      await sampler.close();
    }
  };
}

async function playOne(
  sampler: Sampler,
  { task, serial }: CollectRequest<CoinTask>,
  play: { readonly sampleIndex: number; readonly version: number; readonly newTokens: number },
): Promise<Sample> {
  const { sampleIndex, version, newTokens } = play;
  const sequence = sampler.open(task.prompt, streamKey('coin', serial, sampleIndex));
  const { tokens, logProbs } = await sequence.generate({
    maxTokens: newTokens,
    stop: [],
    temperature: 1,
    turn: 0,
  });
  sequence.close();
  const outcome = (tokens[0] ?? 0) % 2 === 0 ? 1 : 0;
  const turns = [
    { author: 'user', ids: task.prompt },
    { author: 'policy', ids: tokens, logProbs },
  ] as const;
  return sampleOfTurns(turns, {
    taskId: task.id,
    group: task.group,
    sampleIndex,
    policyVersion: version,
    answer: [String(tokens[0])],
    rewardTerms: { answer: outcome },
    reward: outcome,
    outcome,
  });
}
