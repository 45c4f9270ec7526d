// A model that plays a search engine: useful or noisy by schedule, read tolerantly, never evaluated.
import { ConfigError, TimeoutError } from '@masksearch/core';
import { describe, expect, it } from 'vitest';
import {
  type AskModel,
  DEFAULT_NOISE,
  noiseSchedule,
  SimulatedSearch,
} from './simulated-search.ts';

const documents = JSON.stringify([
  { title: 'Riga', text: 'Riga is a city.' },
  { title: 'Daugava', text: 'A river.' },
]);

function simulate(ask: AskModel, noise = 0): SimulatedSearch {
  return new SimulatedSearch({ ask, name: 'model', seed: 1, noise: () => noise });
}

describe('noiseSchedule', () => {
  it('rises from start to end, late', () => {
    const noise = noiseSchedule(DEFAULT_NOISE);
    expect([noise(-1), noise(0), noise(1), noise(2)]).toEqual([0, 0, 0.5, 0.5]);
    expect(noise(0.5)).toBeCloseTo(0.5 / 3, 12);
    expect(noiseSchedule({ start: 0.2, end: 0.4, base: 1 })(0.5)).toBeCloseTo(0.3, 12);
    expect(() => noiseSchedule({ ...DEFAULT_NOISE, end: 2 })).toThrow(ConfigError);
  });
});

describe('SimulatedSearch', () => {
  it('gives what the model wrote as results', async () => {
    const tool = simulate(async () => `Here you are:\n\`\`\`json\n${documents}\n\`\`\``);
    const results = await tool.search({ query: 'q', topK: 2 });
    expect(results).toMatchObject([
      { title: 'Riga', text: 'Riga is a city.', score: 1, provider: 'simulated:model' },
      { title: 'Daugava', text: 'A river.', score: 0.5 },
    ]);
    const exclude = new Set([results[0]?.id ?? '']);
    expect(await tool.search({ query: 'q', topK: 1, exclude })).toMatchObject([
      { title: 'Daugava' },
    ]);
    expect(await tool.search({ query: '', topK: 1 })).toEqual([]);
  });

  it('asks for useful documents or for noise, as often as the schedule says', async () => {
    const share = async (noise: number): Promise<number> => {
      let noisy = 0;
      const tool = simulate(async ({ user }) => {
        if (user.includes('do not help')) noisy++;
        return '[]';
      }, noise);
      for (let i = 0; i < 400; i++) await tool.search({ query: `q${i}`, topK: 2 });
      return noisy / 400;
    };
    expect(await share(0)).toBe(0);
    expect(await share(1)).toBe(1);
    expect(await share(0.3)).toBeCloseTo(0.3, 1);
    expect(await share(0.3)).toBe(await share(0.3));
  });

  it.each([
    ['One paragraph.\n\nAnother.', ['One paragraph.', 'Another.']],
    ['[{"title": 1}]', ['[{"title": 1}]']],
    ['[{"title": "a", "text": "b"', ['[{"title": "a", "text": "b"']],
    ['', []],
  ])('reads %j as paragraphs', async (answer, texts) => {
    const results = await simulate(async () => answer).search({ query: 'q', topK: 5 });
    expect(results.map(({ text }) => text)).toEqual(texts);
  });

  it('gives up in time', async () => {
    const tool = simulate(() => new Promise(() => {}));
    const call = tool.search({ query: 'q', topK: 1 }, { timeoutMs: 20 });
    await expect(call).rejects.toThrow(TimeoutError);
  });
});
