// One AdamW update in tfjs ops, and the global norm of gradients.
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { AdamWOptions } from '../language-model.ts';

/** What AdamW keeps of one parameter; all of one shape. */
export interface AdamWTensors {
  readonly weight: Tensor;
  readonly firstMoment: Tensor;
  readonly secondMoment: Tensor;
}

/**
 * Decoupled weight decay and bias-corrected moments, as torch.optim.AdamW.
 * @param gradient Already clipped, of the weight's shape.
 * @param step     1 at the first update.
 * @see Loshchilov & Hutter, arXiv:1711.05101, Algorithm 2
 */
export function adamWUpdate(
  { weight, firstMoment, secondMoment }: AdamWTensors,
  gradient: Tensor,
  options: AdamWOptions & { readonly step: number; readonly decayed: boolean },
): AdamWTensors {
  const { learningRate, beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8, step } = options;
  const decay = options.decayed ? learningRate * (options.weightDecay ?? 0) : 0;
  const first = tf.add(tf.mul(firstMoment, beta1), tf.mul(gradient, 1 - beta1));
  const second = tf.add(tf.mul(secondMoment, beta2), tf.mul(tf.square(gradient), 1 - beta2));
  const root = tf.div(tf.sqrt(second), Math.sqrt(1 - beta2 ** step));
  const change = tf.mul(tf.div(first, tf.add(root, epsilon)), learningRate / (1 - beta1 ** step));
  const kept = decay === 0 ? weight : tf.mul(weight, 1 - decay);
  return { weight: tf.sub(kept, change), firstMoment: first, secondMoment: second };
}

/** Euclidean norm of all gradients together; the sum over tensors is in float64. */
export function globalNorm(gradients: readonly Tensor[]): number {
  let sum = 0;
  for (const gradient of gradients) {
    sum += tf.tidy(() => tf.sum(tf.square(gradient)).dataSync()[0] as number);
  }
  return Math.sqrt(sum);
}

/** torch.nn.utils.clip_grad_norm_: factor that brings a norm under the limit. */
export function clipFactor(norm: number, maxGradientNorm: number | undefined): number {
  if (maxGradientNorm === undefined) return 1;
  return Math.min(1, maxGradientNorm / (norm + 1e-6));
}
