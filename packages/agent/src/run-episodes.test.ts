import { CancelledError, RandomStream, type SearchResult, type Task } from '@masksearch/core';
import type { SearchTool } from '@masksearch/search';
import { describe, expect, it } from 'vitest';
import { FakeSampler, randomSampler } from '../test/fake-sampler.ts';
import { FILL_TASK, maskTask, PASSAGES, questionTask, tagTokenizer } from '../test/fixtures.ts';
import { resolveEpisodeConfig } from './episode-config.ts';
import { collectGroup, runEpisodes, type EpisodesRequest } from './run-episodes.ts';

const tasks: Task[] = [
  FILL_TASK,
  questionTask({}),
  ...PASSAGES.map((passage) => maskTask(passage, [passage.title])),
];
// Few tokens, most of them tags, so that random play searches and answers now and then.
const vocabulary = [
  ...['<think>', '</think>', '<search>', '</search>', '<answer>', '</answer>'].map((tag) =>
    tagTokenizer.specialId(tag),
  ),
  ...tagTokenizer.encode(' Gutu'),
];
/** A policy that knows the grammar: the tag due next, random words between. */
function grammarSampler(pauses: () => number): FakeSampler {
  const id = (tag: string): number => tagTokenizer.specialId(tag);
  const words = [...tagTokenizer.encode(' Gutu Vuvo Lihiti 1703')];
  return new FakeSampler(
    ({ turn, position, key }) => {
      const random = new RandomStream('test', key[0], key[1], turn, position);
      const action =
        new RandomStream('action', key[0], key[1], turn).below(3) === 0 ? 'answer' : 'search';
      const tags = [`<think>`, '', '</think>', `<${action}>`, '', '', `</${action}>`];
      const tag = tags[position] ?? '';
      return tag === '' ? random.pick(words) : id(tag);
    },
    async () => {
      for (let n = pauses(); n > 0; n--) await new Promise((resolve) => setImmediate(resolve));
    },
  );
}

/** Returns a passage that depends on the query, after a pause of random length. */
function pausingSearch(pauses: () => number): SearchTool {
  return {
    provider: 'pausing',
    async search({ query }): Promise<SearchResult[]> {
      for (let n = pauses(); n > 0; n--) await new Promise((resolve) => setImmediate(resolve));
      return [{ id: query, documentId: 'd', title: 'T', text: `about ${query}`, score: 1 }];
    },
  };
}

function request(shuffle: string, concurrency: number): EpisodesRequest {
  const stream = new RandomStream('pauses', shuffle);
  const pauses = (): number => stream.below(4);
  return {
    tasks,
    samplesPerTask: 4,
    concurrency,
    tokenizer: tagTokenizer,
    sampler: grammarSampler(pauses),
    search: pausingSearch(pauses),
    config: resolveEpisodeConfig({ maxTurns: 4, maxTurnTokens: 16 }),
    keyParts: [7, 'rollout'],
    policyVersion: 0,
    score: (_, { policyTokens }) => ({
      rewardTerms: { policyTokens },
      reward: policyTokens,
      outcome: 0,
    }),
  };
}

describe('runEpisodes', () => {
  it('gives identical samples with 1 and with 32 concurrent episodes, in canonical order', async () => {
    const finished: string[] = [];
    const one = await runEpisodes(request('a', 1));
    const many = await runEpisodes({
      ...request('b', 32),
      onEpisode: ({ sample }) => finished.push(`${sample.taskId}#${sample.sampleIndex}`),
    });
    const order = tasks.flatMap(({ id }) => [0, 1, 2, 3].map((i) => `${id}#${i}`));
    expect(many.map(({ sample }) => `${sample.taskId}#${sample.sampleIndex}`)).toEqual(order);
    expect(finished).not.toEqual(order);
    expect(many.map(({ sample }) => sample)).toEqual(one.map(({ sample }) => sample));
    const reasons = new Set(one.map(({ sample }) => sample.finishReason));
    expect(reasons).toContain('answer');
    expect(reasons.size).toBeGreaterThan(1);
    expect(one.some(({ sample }) => sample.searches.length > 1)).toBe(true);
  });

  it('gives the samples of a task different tokens', async () => {
    const [first, second] = await collectGroup({ ...request('a', 4), task: FILL_TASK });
    expect(first?.ids).not.toEqual(second?.ids);
    expect([first?.sampleIndex, second?.sampleIndex]).toEqual([0, 1]);
  });

  it('stays well formed under random play', async () => {
    const sampler = randomSampler(vocabulary, () => 0);
    const samples = await runEpisodes({ ...request('a', 8), samplesPerTask: 20, sampler });
    expect(samples).toHaveLength(20 * tasks.length);
  });

  it('does not let one hanging search hold up the others', async () => {
    const base = request('a', 32);
    const hanging: SearchTool = {
      provider: 'hanging',
      search: (asked, options) =>
        asked.query.includes('Lihiti') ? new Promise(() => {}) : base.search.search(asked, options),
    };
    const started = performance.now();
    const config = { ...base.config, searchTimeoutMs: 50 };
    const samples = await runEpisodes({ ...base, search: hanging, config });
    expect(performance.now() - started).toBeLessThan(1500);
    const hung = samples.filter(({ sample }) => sample.finishReason === 'tool-timeout');
    expect(hung.length).toBeGreaterThan(2);
    expect(samples.length).toBeGreaterThan(hung.length);
  });

  it('never has more episodes under way than asked for, and closes every sequence', async () => {
    const base = request('a', 3);
    const sampler = grammarSampler(() => 1);
    await runEpisodes({ ...base, sampler });
    expect(sampler.peak).toBe(3);
    expect(sampler.openSequences).toBe(0);
  });

  it('cancels the others and throws when an episode fails', async () => {
    const sampler = new FakeSampler(({ position }) => {
      if (position > 5) throw new Error('device lost');
      return 300;
    });
    await expect(runEpisodes({ ...request('a', 4), sampler })).rejects.toThrow('device lost');
    expect(sampler.openSequences).toBe(0);
  });

  it('throws when it was cancelled, rather than return samples cut short', async () => {
    const controller = new AbortController();
    const base = request('a', 32);
    const onEpisode = (): void => controller.abort();
    await expect(
      runEpisodes({ ...base, samplesPerTask: 1, onEpisode, signal: controller.signal }),
    ).rejects.toThrow(CancelledError);
  });

  it('refuses a score that makes no valid sample', async () => {
    const score = (): { rewardTerms: {}; reward: number; outcome: number } => {
      throw new Error('no judge');
    };
    await expect(collectGroup({ ...request('a', 2), score, task: FILL_TASK })).rejects.toThrow(
      'no judge',
    );
  });
});
