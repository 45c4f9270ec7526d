// Random tokens in which earlier stretches come back: they teach a small model to look back and copy.
import type { RandomStream } from '@masksearch/core';
import type { Tokenizer } from '@masksearch/tokenizer';
import type { TrainingExample } from '@masksearch/train';

const SHORTEST = 4;
const LONGEST = 24;
/** Tokens of an example. */
const LENGTH = 128;

/** One example; the loss is on every token of a repetition but its first, which cannot be known. */
export function repeatedStretches(random: RandomStream, tokenizer: Tokenizer): TrainingExample {
  const first = tokenizer.specialTokens.length;
  const stretch = SHORTEST + random.below(LONGEST - SHORTEST + 1);
  const ids = Array.from(
    { length: stretch },
    () => first + random.below(tokenizer.vocabularySize - first),
  );
  const mask = ids.map(() => 0);
  while (ids.length < LENGTH) {
    const start = random.below(ids.length - SHORTEST + 1);
    const length = Math.min(SHORTEST + random.below(LONGEST), ids.length - start);
    ids.push(...ids.slice(start, start + length));
    mask.push(0, ...Array.from({ length: length - 1 }, () => 1));
  }
  return { ids, mask };
}
