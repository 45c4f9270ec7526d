// What an adapter adds to a projection, in tfjs ops.
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import { layerPrefix } from '../parameters.ts';
import { loraNames, type LoraConfig } from '../lora.ts';
import { loraTargets } from '../lora-targets.ts';
import { dropoutFactors, type DropoutKey } from '../lora-dropout.ts';

/** An adapter that is switched on. */
export interface AdapterPass {
  readonly lora: LoraConfig;
  /** Where gradients are taken: what is dropped. Absent: nothing. */
  readonly dropout?: DropoutKey & {
    /** Index in the batch of the sequence's first token. */
    readonly firstToken: number;
  };
}

/**
 * y + (alpha / rank) · B A dropout(x), or y where the module is not adapted.
 * @param x (T, inputs) float32.
 * @param y (T, outputs) float32, the frozen projection of x.
 */
export function adapt(
  { lora, dropout }: AdapterPass,
  weights: ReadonlyMap<string, Tensor>,
  { l, module }: { readonly l: number; readonly module: string },
  x: Tensor2D,
  y: Tensor2D,
): Tensor2D {
  const names = loraNames(layerPrefix(l) + module);
  const a = weights.get(names.a);
  const b = weights.get(names.b);
  if (a === undefined || b === undefined) return y;
  const [T, width] = x.shape;
  const target = loraTargets.findIndex((name) => module.endsWith(name));
  let input = x;
  if (dropout !== undefined && lora.dropout > 0) {
    const { firstToken } = dropout;
    const place = { firstToken, T, width, layer: l, target };
    input = tf.mul(x, tf.tensor2d(dropoutFactors(dropout, lora.dropout, place), [T, width]));
  }
  const low = tf.mul(tf.matMul(input, a, false, true), lora.alpha / lora.rank); // (T, r)
  return tf.add(y, tf.matMul(low, b, false, true));
}
