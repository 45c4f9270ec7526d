// Weights that are handed over in pieces, so that a model is never in memory twice.
import { InputError } from '@masksearch/core';
import type { DecoderConfig } from './decoder-config.ts';
import type { NamedTensor } from './language-model.ts';
import { elementCount, orderBySpecs, parameterSpecs, type ParameterSpec } from './parameters.ts';

/** Floats in a piece at most: 1 MiB, so that pieces that wait for the garbage collector are few megabytes. */
export const PIECE_FLOATS = 2 ** 18;

/** Tensors by name, read when asked for. */
export interface WeightSource {
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  /** The elements of one tensor in order, in pieces of at most `PIECE_FLOATS`. */
  pieces(name: string): Iterable<Float32Array>;
}

/** Parts of what exact resumption needs, in the order in which they are saved. */
export const STATE_PARTS = ['weights', 'firstMoments', 'secondMoments'] as const;

/** What models are made of: tensors in memory, or a source of them. */
export type ModelWeights = readonly NamedTensor[] | WeightSource;

/** A source of tensors that are in memory; the pieces share it. */
export function sourceOf(tensors: readonly NamedTensor[]): WeightSource {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  return {
    shapes: new Map(tensors.map(({ name, shape }) => [name, shape])),
    *pieces(name) {
      const { data } = byName.get(name) as NamedTensor;
      for (let first = 0; first < data.length; first += PIECE_FLOATS) {
        yield data.subarray(first, first + PIECE_FLOATS);
      }
    },
  };
}

/**
 * Any weights as a source that has exactly the parameters of a config.
 * @throws {InputError} as `orderTensors`.
 */
export function checkedSource(
  config: DecoderConfig,
  weights: ModelWeights,
  where: string,
): WeightSource {
  return sourceBySpecs(parameterSpecs(config), weights, where);
}

/** As `checkedSource`, for any parameters. */
export function sourceBySpecs(
  specs: readonly ParameterSpec[],
  weights: ModelWeights,
  where: string,
): WeightSource {
  if (areTensors(weights)) return sourceOf(orderBySpecs(specs, weights, where));
  checkShapes(specs, weights.shapes, where);
  return weights;
}

/** Any weights as tensors in the order of `parameterSpecs`. @throws {InputError} as `orderTensors`. */
export function checkedTensors(
  config: DecoderConfig,
  weights: ModelWeights,
  where: string,
): NamedTensor[] {
  return tensorsBySpecs(parameterSpecs(config), weights, where);
}

/** As `checkedTensors`, for any parameters. */
export function tensorsBySpecs(
  specs: readonly ParameterSpec[],
  weights: ModelWeights,
  where: string,
): NamedTensor[] {
  if (areTensors(weights)) return orderBySpecs(specs, weights, where);
  checkShapes(specs, weights.shapes, where);
  return specs.map(({ name, shape }) => ({
    name,
    shape,
    data: joinPieces(weights.pieces(name), elementCount(shape)),
  }));
}

export function joinPieces(pieces: Iterable<Float32Array>, count: number): Float32Array {
  const data = new Float32Array(count);
  let done = 0;
  for (const piece of pieces) {
    data.set(piece, done);
    done += piece.length;
  }
  return data;
}

function checkShapes(
  specs: readonly ParameterSpec[],
  shapes: WeightSource['shapes'],
  where: string,
): void {
  const left = new Set(shapes.keys());
  for (const { name, shape } of specs) {
    const received = shapes.get(name);
    if (received?.join() !== shape.join()) {
      throw new InputError(
        `${where}: expected tensor ${name} (${shape.join(', ')}), received ${received === undefined ? 'none' : `(${received.join(', ')})`}.`,
      );
    }
    left.delete(name);
  }
  const [unknown] = left;
  if (unknown !== undefined) {
    throw new InputError(
      `${where}: expected only the parameters of this config, received ${unknown} too.`,
    );
  }
}

/** Whether they are all in memory. */
export function areTensors(weights: ModelWeights): weights is readonly NamedTensor[] {
  return Array.isArray(weights);
}
