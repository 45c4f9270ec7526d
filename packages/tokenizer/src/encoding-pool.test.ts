import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { EncodingPool } from './encoding-pool.ts';
import type { Encoding } from './tokenizer.ts';
import { trainBpe } from './train-bpe.ts';

const tokenizer = trainBpe(['the cat and the hat, a café'], {
  vocabularySize: 290,
  specialTokens: [],
});

async function all(pool: EncodingPool, texts: readonly string[]): Promise<Encoding[]> {
  const encodings: Encoding[] = [];
  for await (const encoding of pool.encode(texts)) encodings.push(encoding);
  return encodings;
}

function bytesOf(encoding: Encoding | undefined): (Buffer | undefined)[] {
  return [encoding?.ids, encoding?.starts, encoding?.ends].map(
    (array) => array && Buffer.from(array.buffer, array.byteOffset, array.byteLength),
  );
}

describe('EncodingPool', () => {
  const pools = [1, 3].map((workers) => new EncodingPool(tokenizer, workers));
  afterAll(() => Promise.all(pools.map((pool) => pool.close())));

  it.each([0, 1])('gives the encodings of the tokenizer itself, in order (pool %i)', async (i) => {
    const pool = pools[i] as EncodingPool;
    const texts = fc.sample(fc.string({ unit: 'grapheme' }), { numRuns: 200, seed: 7 });
    // Several batches, some of one long text.
    texts.push('the hat '.repeat(34_000), '', 'x', 'the cat '.repeat(34_000), 'last');
    const received = await all(pool, texts);
    expect(received).toHaveLength(texts.length);
    for (const [i, text] of texts.entries()) {
      const { ids, starts, ends } = tokenizer.encodeWithOffsets(text);
      // Buffers compare at once where arrays of numbers take seconds.
      expect(bytesOf(received[i])).toEqual(bytesOf({ ids, starts, ends }));
    }
  });

  it('gives nothing for nothing', async () => {
    expect(await all(pools[0] as EncodingPool, [])).toEqual([]);
  });

  it('serves several callers at once', async () => {
    const [a, b] = await Promise.all([
      all(pools[1] as EncodingPool, ['the cat']),
      all(pools[1] as EncodingPool, ['a hat']),
    ]);
    expect(a).toEqual([tokenizer.encodeWithOffsets('the cat')]);
    expect(b).toEqual([tokenizer.encodeWithOffsets('a hat')]);
  });

  it('fails what is asked of it after it was closed', async () => {
    const pool = new EncodingPool(tokenizer, 1);
    await pool.close();
    await expect(all(pool, ['a'])).rejects.toThrow(/EncodingPool: closed/);
  });

  it('refuses to have no workers', () => {
    expect(() => new EncodingPool(tokenizer, 0)).toThrow(/workers >= 1, received 0/);
  });
});
