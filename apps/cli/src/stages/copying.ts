// Copying steps: random sequences that repeat themselves, which teach a small model to look back.
import { RandomStream } from '@masksearch/core';
import type { ExampleGenerator, TrainingExample } from '@masksearch/train';

export interface CopyingOptions {
  readonly seed: number;
  /** Names the phase's random stream. */
  readonly phase: string;
  readonly vocabularySize: number;
  /** Ids below this are special and never drawn. */
  readonly firstPlainToken: number;
  /** Length of the stretch that is repeated, tokens. */
  readonly minTokens: number;
  readonly maxTokens: number;
  /** Occurrences of the stretch. */
  readonly repeats: number;
  /** Tokens of one step. */
  readonly batchTokens: number;
}

/** A generator of copying steps: the loss is on every repetition but the first occurrence. */
export function copyingGenerator(options: CopyingOptions): ExampleGenerator {
  const { seed, phase, batchTokens } = options;
  return (step) => {
    const random = new RandomStream(seed, 'copying', phase, step);
    const examples: TrainingExample[] = [];
    for (let tokens = 0; ;) {
      const example = repeatedStretch(random, options);
      tokens += example.ids.length;
      if (examples.length > 0 && tokens > batchTokens) return examples;
      examples.push(example);
    }
  };
}

function repeatedStretch(random: RandomStream, options: CopyingOptions): TrainingExample {
  const { vocabularySize, firstPlainToken, minTokens, maxTokens, repeats } = options;
  const length = minTokens + random.below(maxTokens - minTokens + 1);
  const stretch = Array.from(
    { length },
    () => firstPlainToken + random.below(vocabularySize - firstPlainToken),
  );
  const ids = Array.from({ length: repeats }, () => stretch).flat();
  return { ids, mask: ids.map((_, t) => (t < length ? 0 : 1)) };
}
