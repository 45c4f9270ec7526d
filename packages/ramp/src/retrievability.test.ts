// Queries without answers, and what counts as evidence.
import { describe, expect, it } from 'vitest';
import type { SearchTool } from '@masksearch/search';
import { EvidenceSearch, evidenceRanks, slotQuery } from './retrievability.ts';
import { spanOf } from './spans.ts';
import { documentOf, searchOver } from './testing.ts';

const text = 'Ada was born in London in 1815. She wrote to Babbage about the Engine.';
const paragraph = { text, title: 'Ada Lovelace', aliases: ['Countess'] };
const span = (part: string, ...aliases: string[]) =>
  spanOf(text, [text.indexOf(part), text.indexOf(part) + part.length], 'any', aliases);

describe('slotQuery', () => {
  it('is the title and the sentence of the slot without what is masked', () => {
    const slots = [span('London'), span('1815'), span('Babbage')];
    expect(slotQuery(paragraph, slots, span('London'))).toBe('Ada Lovelace Ada was born in in .');
    expect(slotQuery(paragraph, slots, span('Babbage'))).toBe(
      'Ada Lovelace She wrote to about the Engine.',
    );
  });
});

describe('evidenceRanks', () => {
  const options = { exclude: new Set(['ada#0']), topK: 5, timeoutMs: 1000 };
  const over = (search: SearchTool) => new EvidenceSearch({ ...options, search });

  it('ranks the first other passage with the text or an alias as whole words', async () => {
    const search = await searchOver([
      documentOf({ id: 'ada', title: 'Ada Lovelace', text }),
      documentOf({
        id: 'near',
        title: 'Ada Lovelace letters',
        text: 'Ada was born and wrote about the Engine.',
      }),
      documentOf({
        id: 'other',
        title: 'Engine',
        text: 'Charles planned the Engine; Ada lived in Londonderry.',
      }),
    ]);
    const slots = [span('London'), span('Babbage', 'Charles')];
    expect(await evidenceRanks(paragraph, slots, over(search))).toEqual([null, 2]);
  });

  it('looks through as many results as asked for, none of them hidden', async () => {
    const search = await searchOver([
      documentOf({ id: 'ada', title: 'Ada Lovelace', text }),
      documentOf({ id: 'babbage', title: 'Charles Babbage', text: 'Babbage planned the Engine.' }),
    ]);
    const one = new EvidenceSearch({ ...options, search, topK: 1 });
    expect(await evidenceRanks(paragraph, [span('Babbage')], one)).toEqual([1]);
  });

  it('wants the subject beside a bare number', async () => {
    const far = documentOf({
      id: 'far',
      title: 'Births',
      text: 'In 1815 many were born, and Ada too.',
    });
    const near = documentOf({
      id: 'near',
      title: 'Births',
      text: 'In 1815 the Countess was born.',
    });
    const search = await searchOver([far]);
    expect(await evidenceRanks(paragraph, [span('1815')], over(search))).toEqual([null]);
    const better = await searchOver([far, near]);
    const [rank] = await evidenceRanks(paragraph, [span('1815')], over(better));
    expect(rank).not.toBeNull();
  });
});
