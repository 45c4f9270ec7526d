import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InputError } from './errors.ts';
import { textLines, type TextLine } from './text-lines.ts';

/** The lines of `bytes`, handed over in pieces of `size`, in a buffer that is used again. */
async function linesOf(bytes: Uint8Array, size: number): Promise<TextLine[]> {
  async function* pieces(): AsyncGenerator<Uint8Array> {
    const buffer = new Uint8Array(size);
    for (let start = 0; start < bytes.length; start += size) {
      const piece = bytes.subarray(start, start + size);
      buffer.set(piece);
      yield await Promise.resolve(buffer.subarray(0, piece.length));
    }
  }
  const lines: TextLine[] = [];
  for await (const line of textLines(pieces(), 'x')) lines.push(line);
  return lines;
}

describe('textLines', () => {
  it('gives the lines of any text, however it comes in pieces', async () => {
    const line = fc.string({ unit: fc.constantFrom('a', 'é', '😀', ' ', '\r') });
    await fc.assert(
      fc.asyncProperty(fc.array(line), fc.integer({ min: 1, max: 9 }), async (lines, size) => {
        const text = lines.map((each) => `${each}\n`).join('');
        const found = await linesOf(new TextEncoder().encode(text), size);
        expect(found).toEqual(
          lines.map((each, i) => ({ line: each.replace(/\r$/, ''), lineNumber: i + 1 })),
        );
      }),
      { numRuns: 50 },
    );
  });

  it('does not need a line break at the end, and gives nothing for nothing', async () => {
    const bytes = new TextEncoder().encode('a\n\nb');
    expect((await linesOf(bytes, 2)).map(({ line }) => line)).toEqual(['a', '', 'b']);
    expect(await linesOf(new Uint8Array(), 1)).toEqual([]);
  });

  it('names the line that is not UTF-8, wherever the pieces end', async () => {
    const bytes = Buffer.from('one\ntwo\nCaf\xe9\nfour\n', 'latin1');
    for (let size = 1; size <= bytes.length; size++) {
      const error: unknown = await linesOf(bytes, size).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(InputError);
      expect(String(error)).toContain('x:3: expected UTF-8 text');
    }
  });
});
