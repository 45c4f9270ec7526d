// Search-R1's wire format, read in every form its servers and clients use.
import { InputError } from '@masksearch/core';
import { describe, expect, it } from 'vitest';
import { readResponse, retrieveRequestSchema, toWireDocument } from './wire.ts';

const where = 'test';
const read = (items: unknown[]) => readResponse({ result: [items] }, { where, queries: 1 })[0];

describe('readResponse', () => {
  it('reads documents with title and text, and those with contents alone', () => {
    const contents = '"Riga"\nRiga is a city.\nIt is old.';
    const expected = {
      id: '0',
      documentId: '0',
      title: 'Riga',
      text: 'Riga is a city.\nIt is old.',
    };
    expect(
      read([
        { document: { id: '0', contents }, score: 12.3 },
        { document: { id: 0, contents: '', title: 'Riga', text: expected.text } },
        { id: '0', contents },
      ]),
    ).toEqual([
      { ...expected, score: 12.3 },
      { ...expected, score: 0 },
      { ...expected, score: 0 },
    ]);
  });

  it('gives documents without id one made of their text', () => {
    const [one, two, other] = read([
      { document: { contents: 'a' } },
      { contents: 'a' },
      { contents: 'b' },
    ]) ?? [undefined];
    expect(one?.id).toMatch(/^[0-9a-f]{16}$/);
    expect(two?.id).toBe(one?.id);
    expect(other?.id).not.toBe(one?.id);
    expect(one?.text).toBe('a');
  });

  it('reads back what we write', () => {
    const result = {
      id: 'p',
      documentId: 'd',
      title: 'a "quoted" title',
      text: 'x\ny',
      score: 0.1,
    };
    expect(read([{ document: toWireDocument(result), score: result.score }])).toEqual([result]);
    const { contents } = toWireDocument(result);
    expect(read([{ id: 'p', documentId: 'd', contents }])).toEqual([{ ...result, score: 0 }]);
  });

  it.each<[string, unknown]>([
    ['no object', 'x'],
    ['no result', {}],
    ['too few lists', { result: [] }],
    ['too many lists', { result: [[], []] }],
    ['a list of numbers', { result: [[1]] }],
  ])('refuses %s', (_, value) => {
    expect(() => readResponse(value, { where, queries: 1 })).toThrow(InputError);
  });
});

describe('requests', () => {
  it('are taken with topk and return_scores absent or null, and with fields of others', () => {
    for (const more of [{}, { topk: null, return_scores: null }, { topk: 0, other: 1 }]) {
      expect(retrieveRequestSchema.safeParse({ queries: ['q'], ...more }).success).toBe(true);
    }
    expect(retrieveRequestSchema.safeParse({ queries: 'q' }).success).toBe(false);
    expect(retrieveRequestSchema.safeParse({ queries: ['q'], topk: 1.5 }).success).toBe(false);
  });
});
