// Adapters without dropout in float64: the merged model, and its gradients projected on A and B.
import type { DecoderConfig } from '../decoder-config.ts';
import { loraNames, type LoraConfig } from '../lora.ts';
import type { PackedBatch, TokenLoss } from '../language-model.ts';
import {
  referenceAccumulate,
  type ReferenceResult,
  type ReferenceTensors,
} from './reference-decoder.ts';

/** The weights with (alpha / rank) · B A added, in float64. */
export function referenceMerge(
  weights: ReferenceTensors,
  lora: LoraConfig,
  adapter: ReferenceTensors,
): ReferenceTensors {
  const merged: ReferenceTensors = new Map();
  for (const [name, data] of weights) {
    const sum = data.slice();
    forAdapted(name, lora, adapter, ({ element, a, b }) => {
      sum[element]! += (lora.alpha / lora.rank) * a.value * b.value;
    });
    merged.set(name, sum);
  }
  return merged;
}

/** Loss of a packed batch and its gradient by every A and B, under their names. */
export function referenceAdapterAccumulate(
  config: DecoderConfig,
  model: { weights: ReferenceTensors; lora: LoraConfig; adapter: ReferenceTensors },
  batch: PackedBatch,
  loss: TokenLoss,
): ReferenceResult {
  const { weights, lora, adapter } = model;
  const result = referenceAccumulate(config, referenceMerge(weights, lora, adapter), batch, loss);
  const gradients: ReferenceTensors = new Map(
    [...adapter].map(([name, data]) => [name, new Float64Array(data.length)]),
  );
  for (const [name, dMerged] of result.gradients) {
    forAdapted(name, lora, adapter, ({ element, a, b }) => {
      const d = (lora.alpha / lora.rank) * dMerged[element]!;
      gradients.get(a.name)![a.index]! += d * b.value;
      gradients.get(b.name)![b.index]! += d * a.value;
    });
  }
  return { ...result, gradients };
}

interface Factor {
  readonly name: string;
  readonly index: number;
  readonly value: number;
}

/** Every product of an element of B and one of A that meets in an element of an adapted matrix. */
function forAdapted(
  name: string,
  { rank }: LoraConfig,
  adapter: ReferenceTensors,
  visit: (product: { element: number; a: Factor; b: Factor }) => void,
): void {
  const names = loraNames(name.replace(/\.weight$/, ''));
  const a = adapter.get(names.a);
  const b = adapter.get(names.b);
  if (a === undefined || b === undefined) return;
  const inputs = a.length / rank;
  for (let o = 0; o < b.length / rank; o++) {
    for (let k = 0; k < rank; k++) {
      const ofB = { name: names.b, index: o * rank + k, value: b[o * rank + k]! };
      for (let i = 0; i < inputs; i++) {
        const ofA = { name: names.a, index: k * inputs + i, value: a[k * inputs + i]! };
        visit({ element: o * inputs + i, a: ofA, b: ofB });
      }
    }
  }
}
