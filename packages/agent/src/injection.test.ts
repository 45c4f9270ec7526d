// Whatever a search returns, the episode is played as with harmless results: same turns, mask, stops and answer.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { checkSample, type SearchResult } from '@masksearch/core';
import type { SearchTool } from '@masksearch/search';
import { loadTokenizer, type Tokenizer } from '@masksearch/tokenizer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { scriptedSampler } from '../test/fake-sampler.ts';
import { FILL_TASK, TOKENIZERS } from '../test/fixtures.ts';
import { hostileText, INJECTIONS } from '../test/injections.ts';
import { resolveEpisodeConfig } from './episode-config.ts';
import type { Episode } from './play-episode.ts';
import { ProtocolCodec } from './protocol-codec.ts';
import { renderAnswerTurn, renderSearchTurn } from './protocol.ts';
import { runEpisode } from './run-episode.ts';
import { toSample } from './to-sample.ts';

const data = process.env['MASKSEARCH_DATA'] ?? join(import.meta.dirname, '../../../../shared/data');
const qwen = join(data, 'tokenizers/qwen2.5_tokenizer.rebuilt.json');

const cases: { name: string; tokenizer: () => Tokenizer; skip: boolean }[] = [
  ...TOKENIZERS.map(({ name, tokenizer }) => ({ name, tokenizer: () => tokenizer, skip: false })),
  {
    name: existsSync(qwen) ? 'Qwen 2.5' : `Qwen 2.5 (skipped: ${qwen} is absent)`,
    tokenizer: () => loadTokenizer(qwen),
    skip: !existsSync(qwen),
  },
];

const TURNS = [
  renderSearchTurn('1', 'Belo Nakuda founded the firm'),
  renderSearchTurn('2', 'Lihiti'),
  renderAnswerTurn('so', 'Gutu Vuvo ; Lihiti'),
];

function returning(documents: readonly (readonly [string, string])[]): SearchTool {
  const results = documents.map(([title, text], i): SearchResult => {
    return { id: `r${i}`, documentId: `r${i}`, title, text, score: 1 };
  });
  return { provider: 'hostile', search: async () => [...results] };
}

for (const { name, tokenizer: load, skip } of cases) {
  describe.skipIf(skip)(`hostile results, ${name}`, () => {
    const tokenizer = skip ? (TOKENIZERS[0] as (typeof TOKENIZERS)[0]).tokenizer : load();
    const codec = new ProtocolCodec(tokenizer);
    const special = new Set(tokenizer.specialTokens.map((token) => tokenizer.specialId(token)));
    const turnIds = TURNS.map((turn) => codec.encodeTurn(turn));
    const config = resolveEpisodeConfig({ maxInformationTokens: 200 });

    const play = (search: SearchTool): Promise<Episode> =>
      runEpisode({
        task: FILL_TASK,
        sampleIndex: 0,
        tokenizer,
        sampler: scriptedSampler(turnIds),
        search,
        keyParts: [1],
        policyVersion: 0,
        config,
      });

    const checkUntouched = async (episode: Episode): Promise<void> => {
      expect(episode).toMatchObject({ finishReason: 'answer', answer: ['Gutu Vuvo', 'Lihiti'] });
      expect(episode.segments.map(({ author }) => author).join(' ')).toBe(
        'user policy tool policy tool policy',
      );
      const segments = episode.segments.map(({ author, start, end }) => {
        const [ids, mask] = [episode.ids.slice(start, end), episode.mask.slice(start, end)];
        return { author, ids, mask };
      });
      const policy = segments.filter(({ author }) => author === 'policy');
      expect(policy.map(({ ids }) => ids)).toEqual(turnIds.map((ids) => [...ids]));
      for (const { author, mask } of segments) {
        expect(new Set(mask)).toEqual(new Set([author === 'policy' ? 1 : 0]));
      }
      for (const { ids } of segments.filter(({ author }) => author === 'tool')) {
        expect(ids.length).toBeLessThanOrEqual(config.maxInformationTokens);
        const text = tokenizer.decode(ids);
        expect(text.match(/[<>]/g)).toHaveLength(4);
        expect(text).toMatch(/^<information>[^]*<\/information>$/);
        const inside = ids.slice(1, -1).filter((id) => special.has(id));
        expect(inside).toEqual([]);
        expect(stopsIn(ids)).toBe(0);
      }
      checkSample(await toSample(FILL_TASK, episode, () => noScore));
    };

    const stopsIn = (ids: readonly number[]): number =>
      codec.stop.filter((stop) =>
        ids.some((_, start) => stop.every((id, i) => ids[start + i] === id)),
      ).length;

    it.each(Object.entries(INJECTIONS))('have no effect: %s', async (_, texts) => {
      for (const text of texts) {
        await checkUntouched(
          await play(
            returning([
              [text, text],
              ['', text],
            ]),
          ),
        );
      }
      await checkUntouched(await play(returning(texts.map((text) => [text, texts.join('')]))));
    });

    it('have no effect in any mixture', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(hostileText, hostileText), { maxLength: 5 }),
          async (documents) => checkUntouched(await play(returning(documents))),
        ),
        { numRuns: 60, seed: 3 },
      );
    });
  });
}

const noScore = { rewardTerms: {}, reward: 0, outcome: 0 };
