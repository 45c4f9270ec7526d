// Random weights of any shape, made piece by piece when they are asked for: a large model without a file.
import { philox4x32, streamKey } from '../packages/core/src/index.ts';
import {
  elementCount,
  parameterSpecs,
  PIECE_FLOATS,
  type DecoderConfig,
  type WeightSource,
} from '../packages/model/src/index.ts';

/** The same for the same shape. */
export function randomWeights(config: DecoderConfig): WeightSource {
  const shapes = new Map(parameterSpecs(config).map(({ name, shape }) => [name, shape]));
  return { shapes, pieces: (name) => randomPieces(name, shapes.get(name) ?? []) };
}

/** Uniform with deviation 1/√inputs, 0.05 for embeddings, 0.02 for biases; norms 1. */
function* randomPieces(name: string, shape: readonly number[]): Generator<Float32Array> {
  const isNorm = name.endsWith('norm.weight');
  const isEmbedding = name.includes('embed_tokens');
  const deviation = shape.length === 1 ? 0.02 : isEmbedding ? 0.05 : 1 / Math.sqrt(shape[1] ?? 1);
  const key = streamKey('full-shape', name);
  const total = elementCount(shape);
  for (let first = 0; first < total; first += PIECE_FLOATS) {
    const piece = new Float32Array(Math.min(PIECE_FLOATS, total - first));
    for (let i = 0; i < piece.length; i += 4) {
      const words = philox4x32([(first + i) / 4, 0, 0, 0], key);
      for (let j = 0; j < 4 && i + j < piece.length; j++) {
        const uniform = ((words[j] ?? 0) / 2 ** 32 - 0.5) * Math.sqrt(12);
        piece[i + j] = isNorm ? 1 : deviation * uniform;
      }
    }
    yield piece;
  }
}
