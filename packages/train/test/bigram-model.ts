// A LanguageModel small enough to check by hand: logits of the next token are a row of one matrix.
// Gradients are exact and summed in float64; every update is rounded to float32.
import { InputError } from '@masksearch/core';
import type {
  AccumulateResult,
  AdamWOptions,
  DecoderConfig,
  LanguageModel,
  ModelState,
  NamedTensor,
  PackedBatch,
  Sampler,
  TokenLoss,
  TokenScores,
} from '@masksearch/model';

const NAME = 'bigram.weight';

interface TokenGradient {
  readonly loss: number;
  readonly dLogProb: number;
  readonly dEntropy: number;
  readonly clipped?: 'low' | 'high';
}

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
    const gradients = tokenGradients(batch, scores, loss);
    let total = 0;
    let clippedLow = 0;
    let clippedHigh = 0;
    gradients.forEach((gradient, t) => {
      total += gradient.loss;
      if (gradient.clipped === 'low') clippedLow++;
      if (gradient.clipped === 'high') clippedHigh++;
      this.#backward(batch, t, gradient, scores.entropies[t] as number);
    });
    return { ...scores, loss: total, clippedLow, clippedHigh };
  }

  #backward(batch: PackedBatch, t: number, gradient: TokenGradient, entropy: number): void {
    const V = this.config.vocabularySize;
    const previous = batch.tokens[t - 1] as number;
    const logProbs = this.logProbsAfter(previous);
    for (let v = 0; v < V; v++) {
      const p = Math.exp(logProbs[v] as number);
      const dLogProb = (v === batch.tokens[t] ? 1 : 0) - p;
      const dEntropy = -p * ((logProbs[v] as number) + entropy);
      const index = previous * V + v;
      (this.#gradient[index] as number) +=
        gradient.dLogProb * dLogProb + gradient.dEntropy * dEntropy;
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
      entropies[t] = -row.reduce((sum, l) => sum + Math.exp(l) * l, 0);
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

  async restore(state: ModelState): Promise<void> {
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

function dataOf(tensors: readonly NamedTensor[]): Float32Array {
  const tensor = tensors.find(({ name }) => name === NAME);
  if (!tensor) throw new InputError(`BigramModel.restore: expected ${NAME}, received none.`);
  return tensor.data.slice();
}

/** Loss and its gradient of each labelled token, by position. */
function tokenGradients(
  batch: PackedBatch,
  scores: TokenScores,
  loss: TokenLoss,
): Map<number, TokenGradient> {
  const positions = [...batch.tokens.keys()].filter((t) => batch.lossMask[t] === 1);
  if (loss.type === 'custom') return customGradients(positions, scores, loss.evaluate);
  return new Map(
    positions.map((t) => {
      const logProb = scores.logProbs[t] as number;
      if (loss.type === 'dapo') return [t, dapoGradient(t, logProb, scores, loss)];
      const weight = loss.scale * (loss.weights?.[t] ?? 1);
      return [t, { loss: -weight * logProb, dLogProb: -weight, dEntropy: 0 }];
    }),
  );
}

function customGradients(
  positions: readonly number[],
  scores: TokenScores,
  evaluate: Extract<TokenLoss, { type: 'custom' }>['evaluate'],
): Map<number, TokenGradient> {
  const gradients = new Map<number, TokenGradient>();
  for (let start = 0; start < positions.length; start += 3) {
    const chunk = Int32Array.from(positions.slice(start, start + 3));
    const at = (values: Float32Array): Float32Array =>
      Float32Array.from(chunk, (t) => values[t] as number);
    const result = evaluate({
      positions: chunk,
      logProbs: at(scores.logProbs),
      entropies: at(scores.entropies),
    });
    chunk.forEach((t, i) => {
      gradients.set(t, {
        loss: i === 0 ? result.loss : 0,
        dLogProb: result.dLogProbs[i] as number,
        dEntropy: result.dEntropies?.[i] ?? 0,
      });
    });
  }
  return gradients;
}

function dapoGradient(
  t: number,
  logProb: number,
  scores: TokenScores,
  loss: Extract<TokenLoss, { type: 'dapo' }>,
): TokenGradient {
  const A = loss.advantages[t] as number;
  const weight = loss.scale * (loss.importanceWeights?.[t] ?? 1);
  const logRatio = logProb - (loss.oldLogProbs[t] as number);
  const ratio = Math.exp(Math.min(Math.max(logRatio, -20), 20));
  const bounded = Math.min(Math.max(ratio, 1 - loss.clip.low), 1 + loss.clip.high);
  const isClipped = -A * bounded > -A * ratio;
  let value = isClipped ? -A * bounded : -A * ratio;
  let dLogProb = isClipped ? 0 : -A * ratio;
  if (loss.dualClip !== undefined && A < 0 && value > -A * loss.dualClip) {
    value = -A * loss.dualClip;
    dLogProb = 0;
  }
  const entropyWeight = (loss.entropyCoefficient ?? 0) * loss.scale;
  return {
    loss: weight * value - entropyWeight * (scores.entropies[t] as number),
    dLogProb: weight * dLogProb,
    dEntropy: -entropyWeight,
    ...(isClipped ? { clipped: ratio > 1 ? ('high' as const) : ('low' as const) } : {}),
  };
}
