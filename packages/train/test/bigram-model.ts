// A LanguageModel small enough to check by hand: logits of the next token are a row of one matrix.
// Gradients are exact and summed in float64; every update is rounded to float32.
import { InputError } from '@masksearch/core';
import {
  areTensors,
  elementCount,
  evaluateTokenLoss,
  joinPieces,
  type AccumulateResult,
  type AdamWOptions,
  type DecoderConfig,
  type LanguageModel,
  type ModelState,
  type ModelWeights,
  type NamedTensor,
  type PackedBatch,
  type RestorableState,
  type Sampler,
  type TokenLoss,
  type TokenScores,
} from '@masksearch/model';

const NAME = 'bigram.weight';

/** Labelled tokens that a loss sees at a time; small, so that several chunks make a batch. */
const CHUNK = 3;

/** softmax(weight[previous token]) over V tokens. */
export class BigramModel implements LanguageModel {
  readonly config: DecoderConfig;
  readonly device = 'bigram';
  version = 0;
  #weight: Float32Array; // (V, V)
  #gradient: Float64Array; // (V, V)
  #first: Float32Array;
  #second: Float32Array;
  /** Calls of `step`; tests count updates with it. */
  steps = 0;

  constructor(vocabularySize: number) {
    const size = vocabularySize * vocabularySize;
    this.config = {
      vocabularySize,
      width: 2,
      layers: 1,
      heads: 1,
      keyValueHeads: 1,
      headWidth: 2,
      feedForwardWidth: 2,
      ropeTheta: 10_000,
      normEpsilon: 1e-6,
      maxPositions: 4096,
      attentionBias: true,
      tiedEmbeddings: true,
    };
    this.#weight = new Float32Array(size);
    this.#gradient = new Float64Array(size);
    this.#first = new Float32Array(size);
    this.#second = new Float32Array(size);
  }

  /** (V) log-probabilities after `previous`, float32 values. */
  logProbsAfter(previous: number): Float32Array {
    const V = this.config.vocabularySize;
    const logits = this.#weight.subarray(previous * V, (previous + 1) * V);
    const largest = Math.max(...logits);
    let total = 0;
    for (const logit of logits) total += Math.exp(logit - largest);
    const logTotal = largest + Math.log(total);
    return Float32Array.from(logits, (logit) => Math.min(logit - logTotal, 0));
  }

  async accumulate(batch: PackedBatch, loss: TokenLoss): Promise<AccumulateResult> {
    const scores = this.#scores(batch);
    const positions = Int32Array.from(batch.tokens.keys()).filter((t) => batch.lossMask[t] === 1);
    const totals = { loss: 0, clippedLow: 0, clippedHigh: 0 };
    for (let start = 0; start < positions.length; start += CHUNK) {
      const chunk = positions.subarray(start, start + CHUNK);
      const result = evaluateTokenLoss(loss, {
        positions: chunk,
        logProbs: Float32Array.from(chunk, (t) => scores.logProbs[t] as number),
        entropies: Float32Array.from(chunk, (t) => scores.entropies[t] as number),
      });
      totals.loss += result.loss;
      totals.clippedLow += result.clippedLow;
      totals.clippedHigh += result.clippedHigh;
      chunk.forEach((t, i) => {
        const dEntropy = result.dEntropies[i] as number;
        this.#backward(batch, t, result.dLogProbs[i] as number, dEntropy);
      });
    }
    return { ...scores, ...totals };
  }

  #backward({ tokens }: PackedBatch, t: number, dLogProb: number, dEntropy: number): void {
    const V = this.config.vocabularySize;
    const previous = tokens[t - 1] as number;
    const logProbs = this.logProbsAfter(previous);
    const entropy = entropyOf(logProbs);
    for (let v = 0; v < V; v++) {
      const logProb = logProbs[v] as number;
      const p = Math.exp(logProb);
      const index = previous * V + v;
      (this.#gradient[index] as number) +=
        dLogProb * ((v === tokens[t] ? 1 : 0) - p) - dEntropy * p * (logProb + entropy);
    }
  }

  async step(options: AdamWOptions): Promise<{ gradientNorm: number }> {
    const { learningRate, beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8, maxGradientNorm } = options;
    const gradientNorm = Math.sqrt(this.#gradient.reduce((sum, g) => sum + g * g, 0));
    const scale =
      maxGradientNorm === undefined ? 1 : Math.min(1, maxGradientNorm / (gradientNorm + 1e-6));
    this.version++;
    this.steps++;
    for (let i = 0; i < this.#weight.length; i++) {
      const g = (this.#gradient[i] as number) * scale;
      const m = (this.#first[i] = beta1 * (this.#first[i] as number) + (1 - beta1) * g);
      const v = (this.#second[i] = beta2 * (this.#second[i] as number) + (1 - beta2) * g * g);
      const mHat = m / (1 - beta1 ** this.version);
      const vHat = v / (1 - beta2 ** this.version);
      (this.#weight[i] as number) -= (learningRate * mHat) / (Math.sqrt(vHat) + epsilon);
    }
    this.#gradient.fill(0);
    return { gradientNorm };
  }

  async score(batch: PackedBatch): Promise<TokenScores> {
    return this.#scores(batch);
  }

  #scores({ tokens, lossMask }: PackedBatch): { logProbs: Float32Array; entropies: Float32Array } {
    const logProbs = new Float32Array(tokens.length);
    const entropies = new Float32Array(tokens.length);
    for (let t = 1; t < tokens.length; t++) {
      if (lossMask[t] !== 1) continue;
      const row = this.logProbsAfter(tokens[t - 1] as number);
      logProbs[t] = row[tokens[t] as number] as number;
      entropies[t] = entropyOf(row);
    }
    return { logProbs, entropies };
  }

  sampler(): Sampler {
    throw new InputError('BigramModel.sampler: expected tests to sample with sampleToken.');
  }

  async weights(): Promise<NamedTensor[]> {
    return [this.#tensor(this.#weight)];
  }

  async gradients(): Promise<NamedTensor[]> {
    return [this.#tensor(Float32Array.from(this.#gradient))];
  }

  async state(): Promise<ModelState> {
    return {
      version: this.version,
      weights: [this.#tensor(this.#weight)],
      firstMoments: [this.#tensor(this.#first)],
      secondMoments: [this.#tensor(this.#second)],
    };
  }

  async restore(state: RestorableState): Promise<void> {
    this.version = state.version;
    this.#weight = dataOf(state.weights);
    this.#first = dataOf(state.firstMoments);
    this.#second = dataOf(state.secondMoments);
    this.#gradient.fill(0);
  }

  async dispose(): Promise<void> {}

  #tensor(data: Float32Array): NamedTensor {
    const V = this.config.vocabularySize;
    return { name: NAME, shape: [V, V], data: data.slice() };
  }
}

function dataOf(weights: ModelWeights): Float32Array {
  if (!areTensors(weights)) {
    return joinPieces(weights.pieces(NAME), elementCount(weights.shapes.get(NAME) ?? []));
  }
  const tensor = weights.find(({ name }) => name === NAME);
  if (!tensor) throw new InputError(`BigramModel.restore: expected ${NAME}, received none.`);
  return tensor.data.slice();
}

function entropyOf(logProbs: Float32Array): number {
  return -logProbs.reduce((sum, logProb) => sum + Math.exp(logProb) * logProb, 0);
}
