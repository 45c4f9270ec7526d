// Lets any tfjs loss train through the LanguageModel port: it sees one chunk of tokens at a time.
import {
  add,
  mul,
  sum,
  tensor1d,
  tidy,
  valueAndGrads,
  type Scalar,
  type Tensor,
  type Tensor1D,
} from '@tensorflow/tfjs-core';
import { InputError, ShapeError } from '@masksearch/core';
import { registerTfjsGradients, type CustomTokenLoss } from '@masksearch/model';

/** One chunk of labelled tokens, as tensors. */
export interface LossChunk {
  /** (n) position of each token in the packed batch; look up what belongs to it with these. */
  readonly positions: Int32Array;
  /** (n) float32, nats. */
  readonly logProbs: Tensor1D;
  /** (n) float32, nats. */
  readonly entropies: Tensor1D;
}

/**
 * Wraps a differentiable tfjs function as a loss of the LanguageModel port.
 *
 * @param lossOf Scalar loss of a chunk. Chunks are added up, so divide by the count of the whole
 *               optimizer step inside, never by the chunk's own length.
 * @throws {ShapeError} (when evaluated) the result is not a scalar.
 * @throws {InputError} (when evaluated) loss or gradient is not finite.
 */
export function customLoss(lossOf: (chunk: LossChunk) => Scalar): CustomTokenLoss {
  registerTfjsGradients();
  return {
    type: 'custom',
    evaluate: ({ positions, logProbs, entropies }) => {
      const lossWithPaths = (l: Tensor, e: Tensor): Scalar => {
        const loss = lossOf({ positions, logProbs: l as Tensor1D, entropies: e as Tensor1D });
        if (loss.shape.length !== 0) {
          throw new ShapeError(
            `customLoss: expected a scalar, received (${loss.shape.join(', ')}).`,
          );
        }
        // tfjs refuses gradients by an input that a loss does not use; this makes it use both.
        return add(loss, mul(0, add(sum(l), sum(e))));
      };
      return tidy(() => {
        const { value, grads } = valueAndGrads(lossWithPaths)([
          tensor1d(logProbs, 'float32'),
          tensor1d(entropies, 'float32'),
        ]);
        const [dLogProbs, dEntropies] = grads.map(
          (gradient) => new Float32Array(gradient.dataSync()),
        );
        const result = {
          loss: value.dataSync()[0] ?? Number.NaN,
          dLogProbs: dLogProbs ?? new Float32Array(positions.length),
          dEntropies: dEntropies ?? new Float32Array(positions.length),
        };
        checkFinite(result);
        return result;
      });
    },
  };
}

function checkFinite(result: { loss: number; dLogProbs: Float32Array; dEntropies: Float32Array }) {
  const finite = (values: Float32Array): boolean => values.every(Number.isFinite);
  if (Number.isFinite(result.loss) && finite(result.dLogProbs) && finite(result.dEntropies)) return;
  throw new InputError(
    `customLoss: expected a finite loss and gradient, received loss ${result.loss}; check for log or division at 0.`,
  );
}
