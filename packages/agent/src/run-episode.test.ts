import { checkSample, ConfigError, IntegrityError, type SearchResult } from '@masksearch/core';
import type { SearchTool } from '@masksearch/search';
import { describe, expect, it } from 'vitest';
import { FakeSampler, scriptedSampler } from '../test/fake-sampler.ts';
import { FILL_TASK, FixedSearch, HOSTILE, PASSAGES, TOKENIZERS } from '../test/fixtures.ts';
import { resolveEpisodeConfig, type EpisodeConfig } from './episode-config.ts';
import type { Episode } from './play-episode.ts';
import { ProtocolCodec } from './protocol-codec.ts';
import { renderAnswerTurn, renderSearchTurn } from './protocol.ts';
import { runEpisode, type EpisodeRequest } from './run-episode.ts';
import { toSample } from './to-sample.ts';

const search = new FixedSearch(PASSAGES.slice(1).map(({ title, text }) => [title, text]));
const searchTurn = renderSearchTurn('1', 'Belo Nakuda founded the firm');
const answerTurn = renderAnswerTurn('Lihiti', 'Gutu Vuvo ; Lihiti');

const neverAnswers: SearchTool = { provider: 'never', search: () => new Promise(() => {}) };
const fails: SearchTool = {
  provider: 'broken',
  search: () => {
    throw new Error('no such index');
  },
};

describe.each(TOKENIZERS)('runEpisode, $name', ({ tokenizer }) => {
  const codec = new ProtocolCodec(tokenizer);
  const play = (
    turns: readonly string[],
    options: Partial<Omit<EpisodeRequest, 'config'>> & { config?: Partial<EpisodeConfig> } = {},
  ): Promise<Episode> =>
    runEpisode({
      task: FILL_TASK,
      sampleIndex: 0,
      tokenizer,
      sampler: scriptedSampler(turns.map((turn) => codec.encodeTurn(turn))),
      search,
      keyParts: [1],
      policyVersion: 3,
      ...options,
      config: resolveEpisodeConfig(options.config ?? {}),
    });
  const check = (episode: Episode) =>
    toSample(FILL_TASK, episode, () => ({ rewardTerms: {}, reward: 0, outcome: 0 }));
  const policyTexts = (episode: Episode): string[] =>
    episode.messages.filter(({ author }) => author === 'policy').map(({ text }) => text);

  it('plays search, information and answer, with the mask on the policy alone', async () => {
    const episode = await play([searchTurn, answerTurn]);
    expect(episode).toMatchObject({
      finishReason: 'answer',
      answer: ['Gutu Vuvo', 'Lihiti'],
      policyVersion: 3,
    });
    expect(episode.segments.map(({ author }) => author)).toEqual([
      'user',
      'policy',
      'tool',
      'policy',
    ]);
    expect(policyTexts(episode)).toEqual([searchTurn, answerTurn]);
    expect(episode.messages[2]?.text).toMatch(/^<information> Gutu Vuvo: .*<\/information>$/s);
    for (const { author, start, end } of episode.segments) {
      const text = episode.messages[episode.segments.findIndex((s) => s.start === start)]?.text;
      expect(tokenizer.decode(episode.ids.slice(start, end))).toBe(text);
      expect(new Set(episode.mask.slice(start, end))).toEqual(
        new Set([author === 'policy' ? 1 : 0]),
      );
    }
    expect(await check(episode)).not.toHaveProperty('messages');
  });

  it('gives the sampler what the sample records, token for token', async () => {
    const seen: number[][] = [];
    const turns = [searchTurn, answerTurn].map((turn) => codec.encodeTurn(turn));
    const sampler = new FakeSampler(({ ids, turn, position }) => {
      if (position === 0) seen.push([...ids]);
      return turns[turn]?.[position] as number;
    });
    const episode = await play([], { sampler });
    for (const prefix of seen) expect(episode.ids.slice(0, prefix.length)).toEqual(prefix);
    expect(sampler.openSequences).toBe(0);
  });

  it('reads slots out of a filled paragraph when told so', async () => {
    const filled = FILL_TASK.text.replace('.', ' .');
    const episode = await play([renderAnswerTurn('1', filled)], {
      config: { answerForm: 'paragraph' },
    });
    expect(episode.answer).toEqual(['Gutu Vuvo', 'Lihiti']);
  });

  it.each<[string, string[], Partial<EpisodeConfig>]>([
    ['turn-length', [searchTurn, answerTurn], { maxTurnTokens: 5 }],
    ['turn-limit', Array<string>(4).fill(searchTurn), { maxTurns: 3 }],
    ['invalid-action', ['<answer> no thought</answer>'], {}],
    ['invalid-action', ['<think> a</think><think> b</think><search> q</search>'], {}],
    ['context-full', Array<string>(40).fill(searchTurn), { maxContextTokens: 300, maxTurns: 40 }],
    [
      'trajectory-length',
      Array<string>(40).fill(searchTurn),
      { maxPolicyTokens: 70, maxTurns: 40 },
    ],
  ])('ends with %s and a well-formed sample (%#)', async (finishReason, turns, config) => {
    const episode = await play(turns, { config });
    expect(episode).toMatchObject({ finishReason, answer: null });
    const sample = await check(episode);
    expect(sample.ids.length).toBeLessThanOrEqual(config.maxContextTokens ?? Infinity);
    expect(episode.policyTokens).toBeLessThanOrEqual(config.maxPolicyTokens ?? Infinity);
  });

  it('never executes a turn that was cut off, even right after a whole search', async () => {
    const counting = new FixedSearch([['T', 'x']]);
    const length = codec.encodeTurn(searchTurn).length;
    const episode = await play([`${searchTurn.slice(0, -1)}x`], {
      search: counting,
      config: { maxTurnTokens: length },
    });
    expect(episode.finishReason).toBe('turn-length');
    expect(counting.calls).toBe(0);
  });

  it('pays a tool that never answers its time-out and nothing else', async () => {
    const started = performance.now();
    const episode = await play([searchTurn, answerTurn], {
      search: neverAnswers,
      config: { searchTimeoutMs: 30 },
    });
    expect(performance.now() - started).toBeLessThan(1000);
    expect(episode.finishReason).toBe('tool-timeout');
    expect(episode.searches[0]).toMatchObject({ provider: 'never', results: [] });
    expect(episode.searches[0]?.error).toMatch(/within 30 ms/);
    await check(episode);
  });

  it('ends with tool-error when the tool throws or returns an excluded passage', async () => {
    const episode = await play([searchTurn], { search: fails });
    expect(episode.finishReason).toBe('tool-error');
    expect(episode.searches[0]?.error).toBe('no such index');
    const leak: SearchResult = { id: 'd0#0', documentId: 'd0', title: '', text: 'x', score: 1 };
    const leaking: SearchTool = { provider: 'leaky', search: () => Promise.resolve([leak]) };
    const leaked = await play([searchTurn], { search: leaking });
    expect(leaked.finishReason).toBe('tool-error');
    expect(leaked.searches[0]).toMatchObject({
      results: [],
      error: expect.stringMatching(/excluded passage, received d0#0/) as string,
    });
    await check(leaked);
  });

  it('lets damaged data of the tool end the run, not the episode', async () => {
    const damaged: SearchTool = {
      provider: 'damaged',
      search: () => Promise.reject(new IntegrityError('index: damaged.')),
    };
    await expect(play([searchTurn], { search: damaged })).rejects.toThrow(IntegrityError);
  });

  it('ends with episode-timeout or cancelled while a tool is busy', async () => {
    const slow = { search: neverAnswers };
    const late = await play([searchTurn], { ...slow, config: { episodeTimeoutMs: 30 } });
    expect(late.finishReason).toBe('episode-timeout');
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 20);
    const cancelled = await play([searchTurn], { ...slow, signal: controller.signal });
    expect(cancelled.finishReason).toBe('cancelled');
    await check(late);
    await check(cancelled);
  });

  it('keeps what was sampled when cancelled in mid-turn; throws if that is nothing', async () => {
    const controller = new AbortController();
    let tokens = 0;
    const sampler = new FakeSampler(() => {
      if (++tokens === 3) controller.abort();
      return tokenizer.encode('a')[0] as number;
    });
    const episode = await play([], { sampler, signal: controller.signal });
    expect(episode).toMatchObject({ finishReason: 'cancelled', policyTokens: 3 });
    await check(episode);
    await expect(play([answerTurn], { signal: AbortSignal.abort() })).rejects.toThrow(
      /cancelled before any token/,
    );
  });

  it('refuses a prompt that leaves no room for a turn', async () => {
    await expect(play([answerTurn], { config: { maxContextTokens: 12 } })).rejects.toThrow(
      /expected a prompt of at most 4 tokens, received \d+; raise maxContextTokens/,
    );
  });

  it.each(HOSTILE.map((text) => [text]))('is not taken over by %j', async (text) => {
    const hostile = new FixedSearch([[text, text]]);
    const episode = await play([searchTurn, answerTurn], { search: hostile });
    // The policy's own turns decide, and only they carry loss.
    expect(episode).toMatchObject({ finishReason: 'answer', answer: ['Gutu Vuvo', 'Lihiti'] });
    expect(policyTexts(episode)).toEqual([searchTurn, answerTurn]);
    expect(episode.policyTokens).toBe(
      [searchTurn, answerTurn].reduce((sum, turn) => sum + codec.encodeTurn(turn).length, 0),
    );
    const tool = episode.messages.find(({ author }) => author === 'tool')?.text ?? '';
    expect(tool.match(/[<>]/g)).toHaveLength(4);
    checkSample(await check(episode));
  });
});

describe('resolveEpisodeConfig', () => {
  it('fills in defaults and names what is wrong', () => {
    expect(resolveEpisodeConfig({ topK: 2 })).toMatchObject({ topK: 2, answerForm: 'slots' });
    expect(() => resolveEpisodeConfig({ maxTurns: 0 })).toThrow(ConfigError);
    expect(() => resolveEpisodeConfig({ maxTurns: 0 })).toThrow(/episode config: maxTurns: /);
  });
});
