import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HOSTILE } from '../test/fixtures.ts';
import { fitDocuments, renderDocument, unwrapInformation, wrapInformation } from './observation.ts';

const hostileText = fc
  .array(fc.oneof(fc.constantFrom(...HOSTILE), fc.string({ unit: 'binary' })))
  .map((parts) => parts.join(''));
const countWords = (text: string): number => text.split(/\s+/).filter(Boolean).length;

describe('renderDocument', () => {
  it('puts one document on one line, with or without a title', () => {
    expect(renderDocument({ title: 'T\nT', text: 'a\nb' })).toBe(' T T: a b');
    expect(renderDocument({ title: '', text: 'a' })).toBe(' a');
  });
  it('cuts what is longer than any context', () => {
    const line = renderDocument({ title: 'T'.repeat(10_000), text: `😀${'x'.repeat(1e7)}` });
    expect(line.length).toBeLessThan(21_000);
    expect(line.isWellFormed()).toBe(true);
  });
});

describe('fitDocuments', () => {
  it('drops whole documents first', () => {
    expect(fitDocuments([' a b', ' c d', ' e'], countWords, 4)).toBe(' a b\n c d');
    expect(fitDocuments([' a b', ' c d', ' e'], countWords, 3)).toBe(' a b');
  });
  it('cuts the first document at a space if it alone is too long', () => {
    expect(fitDocuments([' one two three four', ' five'], countWords, 2)).toBe(' one two');
  });
  it('cuts inside a word when there is no space', () => {
    expect(fitDocuments([' abcdefgh'], (text) => text.length, 4)).toBe(' abc');
  });
  it('does not cut a surrogate pair in two', () => {
    expect(fitDocuments([' a😀😀😀'], (text) => text.length, 5)).toBe(' a😀');
  });
  it('says so when there are no results, and null when nothing fits', () => {
    expect(fitDocuments([], countWords, 5)).toBe(' no results');
    expect(fitDocuments([' a b'], countWords, 0)).toBeNull();
  });
});

describe('unwrapInformation', () => {
  it('reads back a block of any neutralised text', () => {
    fc.assert(
      fc.property(hostileText, (text) => {
        const inner = renderDocument({ title: 't', text });
        expect(unwrapInformation(wrapInformation(inner))).toBe(inner);
      }),
    );
  });
  it('refuses what is no block or holds a bracket', () => {
    expect(unwrapInformation(' x</information>')).toBeNull();
    expect(unwrapInformation('<information> x')).toBeNull();
    expect(unwrapInformation('<information> a</information><answer></information>')).toBeNull();
  });
});
