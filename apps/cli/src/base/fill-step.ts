// Examples of one optimizer step, made one after the other.
import type { TrainingExample } from '@masksearch/train';

/** Examples until the next would not fit into so many tokens; at least one. */
export function fillStep(batchTokens: number, make: () => TrainingExample): TrainingExample[] {
  const examples = [make()];
  let tokens = examples[0]?.ids.length ?? 0;
  for (;;) {
    const example = make();
    tokens += example.ids.length;
    if (tokens > batchTokens) return examples;
    examples.push(example);
  }
}
