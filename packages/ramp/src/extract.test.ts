// The rules on English sentences: what they find and what they leave.
import { describe, expect, it } from 'vitest';
import { extractSpans } from './extract.ts';

function found(text: string): string[] {
  return extractSpans(text).map((span) => `${span.kind}: ${span.text}`);
}

describe('extractSpans', () => {
  it('finds names with connectors, initials and numbers', () => {
    const text =
      'In Oxford, J. R. R. Tolkien of the University of Leeds met Ludwig van Beethoven and saw Apollo 11.';
    expect(found(text)).toEqual([
      'name: Oxford',
      'name: J. R. R. Tolkien of the University of Leeds',
      'name: Ludwig van Beethoven',
      'name: Apollo 11',
    ]);
  });

  it('does not take the first word of a sentence for a name', () => {
    expect(
      found('Rivers are long. The Danube is one. However Vienna is near. Boats sail.'),
    ).toEqual(['name: Danube', 'name: Vienna']);
    expect(found('Later Marie Curie moved. Curie won, and so did Curie.')).toEqual([
      'name: Marie Curie',
      'name: Curie',
      'name: Curie',
    ]);
  });

  it('leaves months, weekdays and possessives out of names', () => {
    expect(found("They met on Monday in March at Ada's house.")).toEqual(['name: Ada']);
  });

  it('finds dates of all forms', () => {
    const text =
      'From 12 March 1994 or March 12, 1994 to May 2001, 2001-03-14, the 1990s, the 5th century BC, 44 BC, 1815.';
    expect(found(text)).toEqual([
      'date: 12 March 1994',
      'date: March 12, 1994',
      'date: May 2001',
      'date: 2001-03-14',
      'date: 1990s',
      'date: 5th century BC',
      'date: 44 BC',
      'date: 1815',
    ]);
  });

  it('finds numbers, but not those of a list', () => {
    expect(found('It has 1,200 parts, 0.75 of them new.\n1) one\n2. two')).toEqual([
      'number: 1,200',
      'number: 0.75',
    ]);
  });

  it('finds quoted and technical terms', () => {
    expect(found('He called it “a brown study” in organic chemistry.')).toEqual([
      'term: a brown study',
      'term: organic chemistry',
    ]);
  });
});
