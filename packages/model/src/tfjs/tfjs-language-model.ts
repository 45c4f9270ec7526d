// LanguageModel in plain tfjs ops: the readable reference, on any tfjs backend.
import * as tf from '@tensorflow/tfjs-core';
import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import { InputError } from '@masksearch/core';
import {
  checkAdamW,
  checkBatch,
  checkSamplerOptions,
  checkScoreOptions,
  checkTokenLoss,
} from '../check-arguments.ts';
import { checkDecoderConfig, type DecoderConfig } from '../decoder-config.ts';
import { initializeWeights } from '../initialize-weights.ts';
import { sequencesOf } from '../labels.ts';
import type {
  AccumulateResult,
  AdamWOptions,
  LanguageModel,
  ModelState,
  NamedTensor,
  PackedBatch,
  RestorableState,
  Sampler,
  SamplerOptions,
  ScoreOptions,
  TokenLoss,
  TokenScores,
} from '../language-model.ts';
import {
  adapterSpecs,
  checkedAdapter,
  mergeAdapter,
  type Adapter,
  type AdapterStart,
} from '../lora.ts';
import { parameterSpecs, type ParameterSpec } from '../parameters.ts';
import { SerialQueue } from '../serial-queue.ts';
import { checkedTensors, tensorsBySpecs, type ModelWeights } from '../weight-source.ts';
import { adamWUpdate, clipFactor, globalNorm, type AdamWTensors } from './adamw.ts';
import { activateBackend, startBackend } from './backend.ts';
import type { AdapterPass } from './adapt.ts';
import { decode, vocabularyLogProbs, type Network } from './decoder.ts';
import { registerTfjsGradients } from './register-gradients.ts';
import { backwardSequence, forwardSequence } from './sequence-pass.ts';
import { TfjsSampler } from './tfjs-sampler.ts';

export interface TfjsModelOptions {
  readonly config: DecoderConfig;
  /** Starting weights; without them `initializeWeights(config, seed)`. */
  readonly weights?: ModelWeights;
  /** Seed of random starting weights; default 0. */
  readonly seed?: number;
  /**
   * A registered tfjs backend; default `cpu`, which is loaded here. Any other one is registered by
   * importing its package first, e.g. `@tensorflow/tfjs-backend-wasm`.
   */
  readonly backend?: string;
  /** A low-rank adapter: the weights are frozen, and the adapter alone is trained. */
  readonly adapter?: AdapterStart;
}

/**
 * A decoder on tfjs.
 * @throws {UnavailableError} The backend is not registered or does not start.
 * @throws {ConfigError} The config describes no decoder.
 * @throws {InputError} The weights or the adapter's do not fit the config.
 */
export async function createTfjsModel(options: TfjsModelOptions): Promise<TfjsLanguageModel> {
  const { config, backend = 'cpu', seed = 0 } = options;
  checkDecoderConfig(config, 'createTfjsModel');
  const weights = checkedTensors(
    config,
    options.weights ?? initializeWeights(config, seed),
    'createTfjsModel',
  );
  const adapter =
    options.adapter === undefined
      ? undefined
      : checkedAdapter(config, options.adapter, 'createTfjsModel: adapter');
  registerTfjsGradients();
  await startBackend(backend);
  return new TfjsLanguageModel(config, backend, weights, adapter);
}

/** Made by `createTfjsModel`. Gradients are kept between micro-batches; a step is synchronous. */
export class TfjsLanguageModel implements LanguageModel {
  readonly config: DecoderConfig;
  readonly device: string;
  readonly #backend: string;
  readonly adapter?: Adapter;
  /** Of what is trained. */
  readonly #specs: readonly ParameterSpec[];
  /** Weights under an adapter; empty without one. */
  readonly #frozen = new Map<string, Tensor>();
  readonly #dropoutSeed: number;
  /** Calls of `accumulate` since the last step or restore. */
  #accumulated = 0;
  readonly #parameters = new Map<string, AdamWTensors>();
  readonly #gradients = new Map<string, Tensor>();
  readonly #queue = new SerialQueue();
  #version = 0;
  /** Counts what has changed the weights: samplers of older epochs are refused. */
  #epoch = 0;
  #disposing = false;
  #disposed = false;

  constructor(
    config: DecoderConfig,
    backend: string,
    weights: readonly NamedTensor[],
    adapter?: Required<AdapterStart>,
  ) {
    this.config = config;
    this.#dropoutSeed = adapter?.seed ?? 0;
    this.device = `tfjs ${backend}`;
    this.#backend = backend;
    this.#specs = parameterSpecs(config);
    activateBackend(backend);
    if (adapter !== undefined) {
      const { config: lora } = adapter;
      this.adapter = { config: lora, weights: () => this.#trainedWeights() };
      this.#specs = adapterSpecs(config, lora);
      for (const { name, shape, data } of weights) this.#frozen.set(name, upload(shape, data));
    }
    for (const { name, shape, data } of adapter?.weights ?? weights) {
      this.#parameters.set(name, {
        weight: upload(shape, data),
        firstMoment: tf.zeros([...shape]),
        secondMoment: tf.zeros([...shape]),
      });
      this.#gradients.set(name, tf.zeros([...shape]));
    }
  }

  get version(): number {
    return this.#version;
  }

  accumulate(batch: PackedBatch, loss: TokenLoss): Promise<AccumulateResult> {
    return this.#run(() => {
      checkBatch(batch, this.config, 'accumulate');
      checkTokenLoss(loss, batch, 'accumulate');
      const result = { ...emptyScores(batch), loss: 0, clippedLow: 0, clippedHigh: 0 };
      const added: Tensor[][] = [];
      const trained = this.#specs.map(({ name }) => name);
      const dropout = {
        seed: this.#dropoutSeed,
        step: this.#version,
        call: this.#accumulated++,
      };
      try {
        for (const sequence of sequencesOf(batch)) {
          if (sequence.labels.length === 0) continue;
          const network = this.#network({ ...dropout, firstToken: sequence.start });
          const part = backwardSequence(network, trained, sequence, loss, result);
          added.push(part.gradients);
          result.loss += part.loss;
          result.clippedLow += part.clippedLow;
          result.clippedHigh += part.clippedHigh;
        }
        added.forEach((gradients) => this.#addGradients(gradients));
      } finally {
        tf.dispose(added);
      }
      return result;
    });
  }

  step(options: AdamWOptions): Promise<{ gradientNorm: number }> {
    return this.#run(() => {
      checkAdamW(options, 'step');
      const gradientNorm = globalNorm([...this.#gradients.values()]);
      const factor = clipFactor(gradientNorm, options.maxGradientNorm);
      for (const { name, decayed } of this.#specs) {
        const before = this.#parameters.get(name) as AdamWTensors;
        const gradient = this.#gradients.get(name) as Tensor;
        const after = tf.tidy(() => ({
          ...adamWUpdate(before, factor === 1 ? gradient : tf.mul(gradient, factor), {
            ...options,
            decayed,
            step: this.#version + 1,
          }),
        }));
        tf.dispose({ ...before });
        this.#parameters.set(name, after);
      }
      this.#zeroGradients();
      this.#version++;
      this.#accumulated = 0;
      this.#epoch++;
      return { gradientNorm };
    });
  }

  score(batch: PackedBatch, options?: ScoreOptions): Promise<TokenScores> {
    return this.#run(() => {
      checkBatch(batch, this.config, 'score');
      checkScoreOptions(options, this.adapter?.config);
      const { adapter: _, ...frozen } = this.#network();
      const network = options?.adapter === 'off' ? frozen : this.#network();
      const scores = emptyScores(batch);
      for (const sequence of sequencesOf(batch)) {
        if (sequence.labels.length === 0) continue;
        forwardSequence(network, sequence, scores);
      }
      return scores;
    });
  }

  sampler(options: SamplerOptions): Sampler {
    checkSamplerOptions(options, this.config);
    return new TfjsSampler(options, {
      config: this.config,
      epoch: () => this.#epoch,
      isDisposing: () => this.#disposing,
      run: (job) => this.#run(job),
      nextLogProbs: (tokens, temperature) => this.#nextLogProbs(tokens, temperature),
    });
  }

  async weights(): Promise<NamedTensor[]> {
    const { adapter } = this;
    if (adapter === undefined) return this.#trainedWeights();
    const [frozen, trained] = await Promise.all([
      this.#run(() =>
        this.#download((name) => this.#frozen.get(name), parameterSpecs(this.config)),
      ),
      this.#trainedWeights(),
    ]);
    return mergeAdapter(frozen, adapter.config, trained);
  }

  gradients(): Promise<NamedTensor[]> {
    return this.#run(() => this.#download((name) => this.#gradients.get(name)));
  }

  state(): Promise<ModelState> {
    return this.#run(() => ({
      version: this.#version,
      weights: this.#download((name) => this.#parameters.get(name)?.weight),
      firstMoments: this.#download((name) => this.#parameters.get(name)?.firstMoment),
      secondMoments: this.#download((name) => this.#parameters.get(name)?.secondMoment),
    }));
  }

  restore(state: RestorableState): Promise<void> {
    return this.#run(() => {
      const { version } = state;
      if (!Number.isSafeInteger(version) || version < 0) {
        throw new InputError(`restore: expected a version >= 0, received ${version}.`);
      }
      const weights = tensorsBySpecs(this.#specs, state.weights, 'restore: weights');
      const first = tensorsBySpecs(this.#specs, state.firstMoments, 'restore: firstMoments');
      const second = tensorsBySpecs(this.#specs, state.secondMoments, 'restore: secondMoments');
      this.#specs.forEach(({ name, shape }, i) => {
        tf.dispose({ ...(this.#parameters.get(name) as AdamWTensors) });
        this.#parameters.set(name, {
          weight: upload(shape, (weights[i] as NamedTensor).data),
          firstMoment: upload(shape, (first[i] as NamedTensor).data),
          secondMoment: upload(shape, (second[i] as NamedTensor).data),
        });
      });
      this.#zeroGradients();
      this.#version = version;
      this.#accumulated = 0;
      this.#epoch++;
    });
  }

  dispose(): Promise<void> {
    this.#disposing = true;
    return this.#queue.run(() => {
      this.#disposed = true;
      for (const parameter of this.#parameters.values()) tf.dispose({ ...parameter });
      for (const gradient of this.#gradients.values()) gradient.dispose();
      for (const weight of this.#frozen.values()) weight.dispose();
      this.#frozen.clear();
      this.#parameters.clear();
      this.#gradients.clear();
    });
  }

  #run<T>(job: () => Promise<T> | T): Promise<T> {
    return this.#queue.run(() => {
      if (this.#disposed) {
        throw new InputError('model: expected a live model, this one is disposed.');
      }
      activateBackend(this.#backend);
      return job();
    });
  }

  /** The weights as they are, with the adapter where there is one. */
  #network(dropout?: AdapterPass['dropout']): Network {
    const trained = [...this.#parameters].map(([name, { weight }]) => [name, weight] as const);
    const network = { config: this.config, weights: new Map([...this.#frozen, ...trained]) };
    if (this.adapter === undefined) return network;
    const lora = this.adapter.config;
    return { ...network, adapter: dropout === undefined ? { lora } : { lora, dropout } };
  }

  #trainedWeights(): Promise<NamedTensor[]> {
    return this.#run(() => this.#download((name) => this.#parameters.get(name)?.weight));
  }

  #addGradients(gradients: readonly Tensor[]): void {
    this.#specs.forEach(({ name }, i) => {
      const before = this.#gradients.get(name) as Tensor;
      this.#gradients.set(name, tf.add(before, gradients[i] as Tensor));
      before.dispose();
    });
  }

  #zeroGradients(): void {
    for (const [name, gradient] of this.#gradients) {
      this.#gradients.set(name, tf.zerosLike(gradient));
      gradient.dispose();
    }
  }

  /** (V) log-probabilities of what follows `tokens`. */
  #nextLogProbs(tokens: Int32Array, temperature: number): Float32Array {
    activateBackend(this.#backend); // turns pause between tokens
    return tf.tidy(() => {
      const network = this.#network();
      const hidden = decode(network, tokens);
      const last: Tensor2D = tf.slice(hidden, [tokens.length - 1, 0], [1, this.config.width]);
      return vocabularyLogProbs(network, last, temperature).dataSync<'float32'>();
    });
  }

  #download(
    tensorOf: (name: string) => Tensor | undefined,
    specs: readonly ParameterSpec[] = this.#specs,
  ): NamedTensor[] {
    return specs.map(({ name, shape }) => ({
      name,
      shape,
      data: Float32Array.from((tensorOf(name) as Tensor).dataSync()),
    }));
  }
}

function upload(shape: readonly number[], data: Float32Array): Tensor {
  return tf.tensor(Float32Array.from(data), [...shape], 'float32');
}

function emptyScores({ tokens }: PackedBatch): TokenScores {
  return {
    logProbs: new Float32Array(tokens.length),
    entropies: new Float32Array(tokens.length),
  };
}
