// AdamW with gradient clipping in float64 plain loops.
import type { AdamWOptions } from '../language-model.ts';
import type { ReferenceTensors } from './reference-decoder.ts';

/** Moments and step count; made empty by `new`. */
export class ReferenceAdamW {
  readonly firstMoments: ReferenceTensors = new Map();
  readonly secondMoments: ReferenceTensors = new Map();
  #steps = 0;

  /**
   * Updates `weights` in place. Algorithm 2 of arXiv:1711.05101 with clipping by the global norm.
   * @returns the norm of all gradients together, before clipping.
   */
  step(
    weights: ReferenceTensors,
    gradients: ReferenceTensors,
    options: AdamWOptions & { readonly isDecayed: (name: string) => boolean },
  ): number {
    const { learningRate, beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8, weightDecay = 0 } = options;
    this.#steps++;
    const norm = globalNorm(gradients);
    const factor = Math.min(1, (options.maxGradientNorm ?? Infinity) / (norm + 1e-6));
    for (const [name, weight] of weights) {
      const decay = options.isDecayed(name) ? 1 - learningRate * weightDecay : 1;
      const first = moments(this.firstMoments, name, weight.length);
      const second = moments(this.secondMoments, name, weight.length);
      for (let i = 0; i < weight.length; i++) {
        const gradient = gradients.get(name)![i]! * factor;
        first[i] = beta1 * first[i]! + (1 - beta1) * gradient;
        second[i] = beta2 * second[i]! + (1 - beta2) * gradient * gradient;
        const mean = first[i]! / (1 - beta1 ** this.#steps);
        const variance = second[i]! / (1 - beta2 ** this.#steps);
        weight[i] = decay * weight[i]! - (learningRate * mean) / (Math.sqrt(variance) + epsilon);
      }
    }
    return norm;
  }
}

/** Euclidean norm of all tensors together. */
export function globalNorm(tensors: ReferenceTensors): number {
  let squares = 0;
  for (const data of tensors.values()) for (const value of data) squares += value * value;
  return Math.sqrt(squares);
}

function moments(all: ReferenceTensors, name: string, length: number): Float64Array {
  const found = all.get(name) ?? new Float64Array(length);
  all.set(name, found);
  return found;
}
