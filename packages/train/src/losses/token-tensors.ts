// What the losses share: shape checks, masking and the number of tokens they divide by.
import {
  cast,
  clone,
  customGrad,
  sum,
  where,
  zerosLike,
  type Scalar,
  type Tensor,
} from '@tensorflow/tfjs-core';
import { ConfigError, EmptyBatchError, ShapeError } from '@masksearch/core';

/** @throws {ShapeError} a tensor's shape differs from that of the first. */
export function checkSameShapes(
  loss: string,
  tensors: Readonly<Record<string, Tensor | undefined>>,
): void {
  let first: { name: string; shape: string } | undefined;
  for (const [name, tensor] of Object.entries(tensors)) {
    if (tensor === undefined) continue;
    const shape = `(${tensor.shape.join(', ')})`;
    first ??= { name, shape };
    if (shape !== first.shape) {
      throw new ShapeError(
        `${loss}: expected ${name} to be ${first.shape} like ${first.name}, received ${shape}.`,
      );
    }
  }
}

/**
 * The tensor with zeros outside the mask, whatever was there: a NaN at a tool token must not reach
 * the loss, nor its gradient.
 */
export function masked(tensor: Tensor, lossMask: Tensor): Tensor {
  return where(cast(lossMask, 'bool'), tensor, zerosLike(tensor));
}

/**
 * The tensor as a constant: no gradient flows through it, even when the caller passes one tensor as
 * both new and old log-probabilities.
 */
export function constant(tensor: Tensor): Tensor {
  return customGrad((x) => ({
    value: clone(x as Tensor),
    gradFunc: (dy: Tensor) => zerosLike(dy),
  }))(tensor);
}

/**
 * The number to divide by: `given` where the caller knows the count of the whole optimizer step,
 * else the mask's own.
 *
 * @throws {EmptyBatchError} nothing is masked in. @throws {ConfigError} `given` is not positive.
 */
export function tokenCount(loss: string, lossMask: Tensor, given: number | undefined): number {
  if (given !== undefined) {
    if (!(given > 0)) {
      throw new ConfigError(`${loss}: expected denominator > 0, received ${given}.`);
    }
    return given;
  }
  const total = sum(cast(lossMask, 'float32'));
  const tokens = total.dataSync()[0] ?? 0;
  total.dispose();
  if (tokens === 0) {
    throw new EmptyBatchError(
      `${loss}: expected at least one token in the loss mask, received none; every group was filtered.`,
    );
  }
  return tokens;
}

/** Sum over all elements, typed as the scalar it is. */
export function sumAll(tensor: Tensor): Scalar {
  return sum(tensor);
}
