// LanguageModel on the native engine: training and sampling over one copy of the weights.
// How one is made: create-native-model.ts.
import { InputError, MaskSearchError, ShapeError } from '@masksearch/core';
import {
  adapterMerger,
  areTensors,
  adapterSpecs,
  checkAdamW,
  checkBatch,
  checkSamplerOptions,
  checkTokenLoss,
  checkScoreOptions,
  elementCount,
  mergeAdapter,
  PIECE_FLOATS,
  parameterSpecs,
  sourceBySpecs,
  sourceOf,
  STATE_PARTS,
  trainedSpecs,
  type AccumulateResult,
  type Adapter,
  type AdamWOptions,
  type CustomTokenLoss,
  type DecoderConfig,
  type LanguageModel,
  type LoraConfig,
  type ModelState,
  type NamedTensor,
  type PackedBatch,
  type ParameterSpec,
  type RestorableState,
  type Sampler,
  type SamplerOptions,
  type ScoreOptions,
  type StatePart,
  type TokenLoss,
  type TokenScores,
  type WeightSource,
} from '@masksearch/model';
import {
  callNative,
  type Arena,
  type ArenaParameter,
  type Binding,
  type ModelHandle,
  type NativeLoss,
} from '@masksearch/native-engine';
import { NativeSampler } from './native-sampler.ts';

/** Where the parts of a state lie. */
const STATE_ARENAS: Readonly<Record<StatePart, Arena>> = {
  weights: 'trainedWeights',
  firstMoments: 'firstMoments',
  secondMoments: 'secondMoments',
};

/** Made by `createNativeModel`. `step` and `restore` wait for the turns that samplers are working on. */
export class NativeLanguageModel implements LanguageModel {
  readonly config: DecoderConfig;
  readonly device: string;
  readonly #binding: Binding;
  readonly #handle: ModelHandle;
  readonly adapter?: Adapter;
  readonly #parameters: readonly ArenaParameter[];
  /** The adapter's parameters where there is one, else all of them. */
  readonly #trained: readonly ArenaParameter[];
  #version = 0;
  /** Counts what has changed the weights, in the order of calls: caches of older epochs are stale. */
  #epoch = 0;
  #disposed: Promise<void> | undefined;

  constructor(
    config: DecoderConfig,
    binding: Binding,
    created: {
      readonly model: ModelHandle;
      readonly device: string;
      readonly parameters: readonly ArenaParameter[];
      readonly trainedParameters: readonly ArenaParameter[];
      readonly lora: LoraConfig | undefined;
    },
  ) {
    this.config = config;
    this.device = `native ${created.device}`;
    this.#binding = binding;
    this.#handle = created.model;
    this.#parameters = inOrder(parameterSpecs(config), created.parameters);
    this.#trained = this.#parameters;
    const { lora } = created;
    if (lora !== undefined) {
      this.#trained = inOrder(adapterSpecs(config, lora), created.trainedParameters);
      this.adapter = { config: lora, weights: () => this.#read('trainedWeights') };
    }
  }

  get version(): number {
    return this.#version;
  }

  async accumulate(batch: PackedBatch, loss: TokenLoss): Promise<AccumulateResult> {
    this.#checkLive('accumulate');
    checkBatch(batch, this.config, 'accumulate');
    checkTokenLoss(loss, batch, 'accumulate');
    if (loss.type === 'custom') return this.#accumulateCustom(batch, loss);
    return callNative('accumulate', () => this.#binding.accumulate(this.#handle, batch, loss));
  }

  async step(options: AdamWOptions): Promise<{ gradientNorm: number }> {
    this.#checkLive('step');
    checkAdamW(options, 'step');
    this.#epoch++;
    const gradientNorm = await callNative('step', () => this.#binding.step(this.#handle, options));
    this.#version++;
    return { gradientNorm };
  }

  async score(batch: PackedBatch, options?: ScoreOptions): Promise<TokenScores> {
    this.#checkLive('score');
    checkBatch(batch, this.config, 'score');
    checkScoreOptions(options, this.adapter?.config);
    return callNative('score', () =>
      this.#binding.score(this.#handle, batch, options?.adapter ?? 'on'),
    );
  }

  sampler(options: SamplerOptions): Sampler {
    this.#checkLive('sampler');
    checkSamplerOptions(options, this.config);
    const epoch = this.#epoch;
    return new NativeSampler(options, {
      config: this.config,
      binding: this.#binding,
      handle: this.#handle,
      isDisposed: () => this.#disposed !== undefined,
      checkLive: (where) => {
        this.#checkLive(where);
        if (this.#epoch === epoch) return;
        throw new InputError(
          `${where}: expected a sampler of the present weights, they have changed since it was made; make a new one after each step.`,
        );
      },
    });
  }

  async weights(): Promise<NamedTensor[]> {
    const { adapter } = this;
    if (adapter === undefined) return this.#read('weights');
    const [frozen, trained] = await Promise.all([this.#read('weights'), adapter.weights()]);
    return mergeAdapter(frozen, adapter.config, trained);
  }

  async *weightPieces(name: string): AsyncGenerator<Float32Array> {
    this.#checkLive('weights');
    const parameter = this.#parameters.find((candidate) => candidate.name === name);
    if (parameter === undefined) {
      throw new InputError(`weightPieces: expected a parameter of this model, received ${name}.`);
    }
    const { adapter } = this;
    const merge = adapter && adapterMerger(adapter.config, await adapter.weights());
    let first = 0;
    for await (const piece of this.#pieces('weights', parameter)) {
      merge?.(name, first, piece);
      first += piece.length;
      yield piece;
    }
  }

  gradients(): Promise<NamedTensor[]> {
    return this.#read('gradients');
  }

  async state(): Promise<ModelState> {
    this.#checkLive('state');
    // Steps called for before this are counted once these reads have come back.
    const [weights, firstMoments, secondMoments] = await Promise.all([
      this.#read('trainedWeights'),
      this.#read('firstMoments'),
      this.#read('secondMoments'),
    ]);
    return { version: this.#version, weights, firstMoments, secondMoments };
  }

  async *statePieces(part: StatePart, name: string): AsyncGenerator<Float32Array> {
    this.#checkLive('state');
    const parameter = this.#trained.find((candidate) => candidate.name === name);
    if (parameter === undefined) {
      throw new InputError(`statePieces: expected a trained parameter, received ${name}.`);
    }
    yield* this.#pieces(STATE_ARENAS[part], parameter);
  }

  async restore(state: RestorableState): Promise<void> {
    this.#checkLive('restore');
    const { version } = state;
    if (!Number.isSafeInteger(version) || version < 0) {
      throw new InputError(`restore: expected a version >= 0, received ${version}.`);
    }
    const specs = trainedSpecs(this);
    const sources = STATE_PARTS.map(
      (part) => [part, sourceBySpecs(specs, state[part], `restore: ${part}`)] as const,
    );
    const writes = (function* (model: NativeLanguageModel) {
      for (const [part, source] of sources) yield* model.#writes(STATE_ARENAS[part], source);
      yield* model.#writes('gradients', zerosOf(specs));
    })(this);
    const setVersion = () =>
      callNative('restore', () => this.#binding.setVersion(this.#handle, version));
    this.#epoch++;
    if (STATE_PARTS.every((part) => areTensors(state[part]))) {
      // All at once, so that calls made before this one is awaited come after it.
      await Promise.all([...writes, setVersion()]);
    } else {
      for (const write of writes) await write;
      await setVersion();
    }
    this.#version = version;
  }

  /** Puts weights in place; moments and gradients stay. The tensors must be those of the config. */
  async writeWeights(weights: readonly NamedTensor[]): Promise<void> {
    await this.#writeAtOnce('weights', weights);
  }

  /** As `writeWeights`, piece by piece straight into place: beside the weights only a piece is in memory. */
  async loadWeights(weights: WeightSource): Promise<void> {
    this.#epoch++;
    for (const write of this.#writes('weights', weights)) await write;
    await callNative('weights', () => this.#binding.setVersion(this.#handle, this.#version));
  }

  /** Puts an adapter's weights in place; moments and gradients stay. */
  async writeAdapter(weights: readonly NamedTensor[]): Promise<void> {
    await this.#writeAtOnce('trainedWeights', weights);
  }

  /** What memory is used for, as a table for people; empty on the CPU. */
  memory(): Promise<string> {
    this.#checkLive('memory');
    return callNative('memory', () => this.#binding.memory(this.#handle));
  }

  /** Ends turns as cancelled, waits for other pending calls and frees all memory. */
  dispose(): Promise<void> {
    this.#disposed ??= callNative('dispose', () => this.#binding.dispose(this.#handle));
    return this.#disposed;
  }

  /** Keeps what the loss throws, which cannot cross the engine's thread, and throws it to the caller. */
  async #accumulateCustom(batch: PackedBatch, loss: CustomTokenLoss): Promise<AccumulateResult> {
    let thrown: { readonly error: unknown } | undefined;
    const native: NativeLoss = {
      type: 'custom',
      evaluate: (positions, logProbs, entropies) => {
        try {
          return evaluateChunk(loss, { positions, logProbs, entropies });
        } catch (error) {
          thrown = { error };
          throw error;
        }
      },
    };
    try {
      return await callNative('accumulate', () =>
        this.#binding.accumulate(this.#handle, batch, native),
      );
    } catch (error) {
      throw thrown === undefined ? error : thrown.error;
    }
  }

  async #read(arena: Arena): Promise<NamedTensor[]> {
    this.#checkLive(arena);
    return Promise.all(
      this.#parametersOf(arena).map(async ({ name, shape, offset, count }) => ({
        name,
        shape,
        data: await callNative(arena, () =>
          this.#binding.readArena(this.#handle, arena, offset, count),
        ),
      })),
    );
  }

  async *#pieces(arena: Arena, { offset, count }: ArenaParameter): AsyncGenerator<Float32Array> {
    for (let first = 0; first < count; first += PIECE_FLOATS) {
      const length = Math.min(PIECE_FLOATS, count - first);
      yield await callNative(arena, () =>
        this.#binding.readArena(this.#handle, arena, offset + first, length),
      );
    }
  }

  /** Writes an arena piece by piece, each when the generator is asked for it. */
  *#writes(arena: Arena, source: WeightSource): Generator<Promise<unknown>> {
    for (const { name, offset } of this.#parametersOf(arena)) {
      let at = offset;
      for (const piece of source.pieces(name)) {
        yield callNative(arena, () => this.#binding.writeArena(this.#handle, arena, at, piece));
        at += piece.length;
      }
    }
  }

  async #writeAtOnce(arena: Arena, tensors: readonly NamedTensor[]): Promise<void> {
    this.#epoch++;
    const writes = [...this.#writes(arena, sourceOf(tensors))];
    // Tells the engine that its caches are stale.
    const told = callNative(arena, () => this.#binding.setVersion(this.#handle, this.#version));
    await Promise.all([...writes, told]);
  }

  #parametersOf(arena: Arena): readonly ArenaParameter[] {
    return arena === 'weights' ? this.#parameters : this.#trained;
  }

  #checkLive(where: string): void {
    if (this.#disposed !== undefined) {
      throw new InputError(`${where}: expected a live model, this one is disposed.`);
    }
  }
}

/** Zeros of these shapes that take the memory of one piece. */
function zerosOf(specs: readonly ParameterSpec[]): WeightSource {
  const shapes = new Map(specs.map(({ name, shape }) => [name, shape]));
  const zeros = new Float32Array(PIECE_FLOATS);
  return {
    shapes,
    *pieces(name) {
      const count = elementCount(shapes.get(name) ?? []);
      for (let first = 0; first < count; first += PIECE_FLOATS) {
        yield zeros.subarray(0, Math.min(PIECE_FLOATS, count - first));
      }
    },
  };
}

/** The engine's parameters in the order in which every LanguageModel lists them. */
function inOrder(
  specs: readonly ParameterSpec[],
  parameters: readonly ArenaParameter[],
): readonly ArenaParameter[] {
  return specs.map(({ name, shape }) => {
    const parameter = parameters.find((candidate) => candidate.name === name);
    if (parameter?.shape.join() !== shape.join()) {
      throw new MaskSearchError(
        'native',
        `createNativeModel: expected the engine to have ${name} (${shape.join(', ')}), received (${parameter?.shape.join(', ') ?? 'none'}); rebuild the addon.`,
      );
    }
    return parameter;
  });
}

function evaluateChunk(
  loss: CustomTokenLoss,
  chunk: { positions: Int32Array; logProbs: Float32Array; entropies: Float32Array },
): { loss: number; dLogProbs: Float32Array; dEntropies: Float32Array } {
  const n = chunk.positions.length;
  const result = loss.evaluate(chunk);
  const { dLogProbs, dEntropies = new Float32Array(n) } = result;
  if (dLogProbs.length !== n || dEntropies.length !== n) {
    throw new ShapeError(
      `custom loss: expected dLogProbs and dEntropies (n=${n}), received (${dLogProbs.length}) and (${dEntropies.length}).`,
    );
  }
  return { loss: result.loss, dLogProbs, dEntropies };
}
