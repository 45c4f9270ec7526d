// Forward and backward of one sequence under a loss.
import * as tf from '@tensorflow/tfjs-core';
import type { Scalar, Tensor } from '@tensorflow/tfjs-core';
import type { PackedSequence } from '../labels.ts';
import type { TokenLoss, TokenScores } from '../language-model.ts';
import { evaluateTokenLoss, type TokenLossResult } from '../token-loss.ts';
import { decode, scoreLabels, type Network } from './decoder.ts';

/** Scores the labels of a sequence and writes them where they belong in the batch. */
export function forwardSequence(
  network: Network,
  sequence: PackedSequence,
  scores: TokenScores,
): void {
  tf.tidy(() => {
    const hidden = decode(network, sequence.tokens);
    const { logProbs, entropies } = scoreLabels(network, hidden, sequence);
    writeScores(scores, sequence, {
      logProbs: logProbs.dataSync<'float32'>(),
      entropies: entropies.dataSync<'float32'>(),
    });
  });
}

/**
 * Loss of a sequence, its gradients in the order of `trained`, and its scores, which are written
 * where they belong in the batch.
 * @param trained Names of the weights that gradients are taken by.
 */
export function backwardSequence(
  network: Network,
  trained: readonly string[],
  sequence: PackedSequence,
  loss: TokenLoss,
  scores: TokenScores,
): TokenLossResult & { readonly gradients: Tensor[] } {
  const positions = sequence.labels.map((t) => sequence.start + t);
  const outcomes: Outcome[] = [];
  const objective = (...tensors: Tensor[]): Scalar => {
    const weights = new Map(network.weights);
    trained.forEach((name, i) => weights.set(name, tensors[i] as Tensor));
    const variable = { ...network, weights };
    const hidden = decode(variable, sequence.tokens);
    const { logProbs, entropies } = scoreLabels(variable, hidden, sequence);
    const values = {
      logProbs: logProbs.dataSync<'float32'>(),
      entropies: entropies.dataSync<'float32'>(),
    };
    writeScores(scores, sequence, values);
    const outcome = attempt(() => evaluateTokenLoss(loss, { positions, ...values }));
    outcomes.push(outcome);
    const { dLogProbs, dEntropies } = outcome.result ?? {
      dLogProbs: values.logProbs,
      dEntropies: values.entropies,
    };
    // Linear in the scores with the loss's derivatives as constants: it has the gradient of the loss.
    const byLogProb = tf.tensor1d(Float32Array.from(dLogProbs));
    const byEntropy = tf.tensor1d(Float32Array.from(dEntropies));
    return tf.sum(tf.add(tf.mul(logProbs, byLogProb), tf.mul(entropies, byEntropy)));
  };
  const { value, grads: gradients } = tf.valueAndGrads(objective)(
    trained.map((name) => network.weights.get(name) as Tensor),
  );
  value.dispose();
  const [outcome] = outcomes;
  if (outcome?.result === undefined) {
    tf.dispose(gradients);
    throw outcome?.error;
  }
  return { ...outcome.result, gradients };
}

/** What a loss returned or threw. tfjs leaks the tensors of a gradient that is left by a throw. */
interface Outcome {
  readonly result?: TokenLossResult;
  readonly error?: unknown;
}

function attempt(evaluate: () => TokenLossResult): Outcome {
  try {
    return { result: evaluate() };
  } catch (error) {
    return { error };
  }
}

function writeScores(
  scores: TokenScores,
  { start, labels }: PackedSequence,
  { logProbs, entropies }: TokenScores,
): void {
  labels.forEach((t, i) => {
    scores.logProbs[start + t] = logProbs[i] as number;
    scores.entropies[start + t] = entropies[i] as number;
  });
}
