// Copying steps: random tokens in which earlier stretches come back teach a small model to look back and copy.
import type { RandomStream } from '@masksearch/core';
import type { Tokenizer } from '@masksearch/tokenizer';
import type { TrainingExample } from '@masksearch/train';
import { fillStep } from './fill-step.ts';

const SHORTEST = 4;
const LONGEST = 24;
/** Tokens of an example. */
const LENGTH = 128;

/** One step of them. */
export function copyingExamples(
  random: RandomStream,
  tokenizer: Tokenizer,
  batchTokens: number,
): TrainingExample[] {
  const special = new Set(tokenizer.specialTokens.map((token) => tokenizer.specialId(token)));
  const plain = Array.from({ length: tokenizer.vocabularySize }, (_, id) => id).filter(
    (id) => !special.has(id),
  );
  return fillStep(batchTokens, () => repeatedStretches(random, plain));
}

/** The loss is on every token of a repetition but its first, which cannot be known. */
function repeatedStretches(random: RandomStream, plain: readonly number[]): TrainingExample {
  const stretch = SHORTEST + random.below(LONGEST - SHORTEST + 1);
  const ids = Array.from({ length: stretch }, () => random.pick(plain));
  const mask = ids.map(() => 0);
  while (ids.length < LENGTH) {
    const start = random.below(ids.length - SHORTEST + 1);
    const length = Math.min(SHORTEST + random.below(LONGEST), ids.length - start);
    ids.push(...ids.slice(start, start + length));
    mask.push(0, ...Array.from({ length: length - 1 }, () => 1));
  }
  return { ids, mask };
}
