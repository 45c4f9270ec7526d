// What the compiled addon exports: the one place where its functions are declared. Arguments are
// checked by packages/engine; the addon checks again what could crash it. Promises settle in the
// order of the calls that made them, except turns of `generate`, which settle as they end.

/** A model on its own thread. Collected models are freed after their pending calls. */
export interface ModelHandle {
  readonly handle: unique symbol;
}

/** Where one parameter lies in its arena: weights, or what is trained and its gradients and moments. */
export interface ArenaParameter {
  readonly name: string;
  readonly shape: readonly number[];
  /** Floats from the start of the arena. */
  readonly offset: number;
  readonly count: number;
  readonly decayed: boolean;
}

/** All but `weights` are laid out by the trained parameters: the adapter's where there is one. */
export type Arena = 'weights' | 'trainedWeights' | 'gradients' | 'firstMoments' | 'secondMoments';

/** A low-rank adapter on frozen weights. */
export interface NativeLora {
  readonly rank: number;
  readonly alpha: number;
  readonly dropout: number;
  /** Names of projections, e.g. `q_proj`. */
  readonly targets: readonly string[];
  /** Of dropout; 32 bits. */
  readonly seed: number;
}

export interface NativeConfig {
  readonly vocabularySize: number;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headWidth: number;
  readonly feedForwardWidth: number;
  readonly ropeTheta: number;
  readonly normEpsilon: number;
  readonly maxPositions: number;
  readonly attentionBias: boolean;
  readonly tiedEmbeddings: boolean;
  readonly queryKeyNorm?: boolean;
  readonly ropeScaling?: {
    readonly factor: number;
    readonly lowFrequencyFactor: number;
    readonly highFrequencyFactor: number;
    readonly originalMaxPositions: number;
  };
}

export interface NativeBatch {
  readonly tokens: Int32Array;
  readonly offsets: Int32Array;
  readonly lossMask: Uint8Array;
}

export type NativeLoss =
  | { readonly type: 'cross-entropy'; readonly scale: number; readonly weights?: Float32Array }
  | {
      readonly type: 'dapo';
      readonly scale: number;
      readonly oldLogProbs: Float32Array;
      readonly advantages: Float32Array;
      readonly clip: { readonly low: number; readonly high: number };
      readonly dualClip?: number;
      readonly importanceWeights?: Float32Array;
      readonly entropyCoefficient?: number;
    }
  | {
      readonly type: 'custom';
      /** Runs on the JavaScript thread while the engine waits. Throwing fails the call. */
      readonly evaluate: (
        positions: Int32Array,
        logProbs: Float32Array,
        entropies: Float32Array,
      ) => { loss: number; dLogProbs: Float32Array; dEntropies: Float32Array };
    };

export interface NativeScores {
  readonly logProbs: Float32Array;
  readonly entropies: Float32Array;
}

export interface NativeAccumulated extends NativeScores {
  readonly loss: number;
  readonly clippedLow: number;
  readonly clippedHigh: number;
}

export interface NativeAdamW {
  readonly learningRate: number;
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  readonly weightDecay?: number;
  readonly maxGradientNorm?: number;
}

export interface NativeRequest {
  readonly maxTokens: number;
  readonly stop: readonly Int32Array[];
  readonly temperature: number;
  /** Share of the nucleus; 1 = all tokens. */
  readonly topP: number;
  /** (⌈V / 32⌉) a bit per token that may be sampled; absent = all. */
  readonly allowed?: Uint32Array;
  readonly turn: number;
}

export interface NativeTurn {
  readonly tokens: Int32Array;
  readonly logProbs: Float32Array;
  readonly reason: 'stop' | 'length' | 'context-full' | 'cancelled';
}

/** Where and how a model runs on a GPU. */
export interface NativeCuda {
  /** Path of the plug-in; see `cudaPluginPath`. */
  readonly plugin: string;
  /** Device memory to take; default 85 % of what is free. */
  readonly memoryBytes?: number;
  /** Tokens that go through the layers together; default 16384. */
  readonly passTokens?: number;
  /** Try cuBLASLt's algorithms for every shape and keep the fastest. */
  readonly tune: boolean;
  /** Record work that comes again as graphs and replay it. */
  readonly graphs: boolean;
  /** Remembers the choices; empty = nowhere. */
  readonly cacheFile: string;
}

/** What packed matrices and kept activations of a model on the CPU are made of; default float32. */
export type NativeDtype = 'float32' | 'bfloat16';

/** What a model will be used for; 0 leaves a use out. */
export interface NativeMemoryUse {
  /** On a GPU, of which it may take so much; absent = on the CPU. */
  readonly cudaMemoryBytes?: number;
  readonly dtype?: NativeDtype;
  readonly threads: number;
  readonly batchTokens: number;
  readonly longestSequence: number;
  readonly sequences: number;
  readonly contextTokens: number;
}

/** Bytes; see native/engine/include/cpu_memory_plan.h and native/engine/cuda/src/device_needs.h. */
export interface NativeMemoryPlan {
  readonly weights: number;
  readonly gradients: number;
  readonly moments: number;
  readonly packed: number;
  readonly activations: number;
  readonly lossHead: number;
  readonly keyValues: number;
  readonly scratch: number;
  readonly total: number;
}

export interface Binding {
  /** Starts a thread and makes a model on it; weights are zero. */
  createModel(
    config: NativeConfig,
    threads: number,
    lora?: NativeLora,
    cuda?: NativeCuda,
    dtype?: NativeDtype,
  ): Promise<{
    model: ModelHandle;
    device: string;
    parameters: ArenaParameter[];
    trainedParameters: ArenaParameter[];
  }>;
  /** A copy of `count` floats from `offset` on. */
  readArena(model: ModelHandle, arena: Arena, offset: number, count: number): Promise<Float32Array>;
  /** Waits for turns in progress. */
  writeArena(model: ModelHandle, arena: Arena, offset: number, values: Float32Array): Promise<void>;
  /** Sets the number of steps taken; waits for turns in progress. */
  setVersion(model: ModelHandle, version: number): Promise<void>;
  accumulate(model: ModelHandle, batch: NativeBatch, loss: NativeLoss): Promise<NativeAccumulated>;
  score(model: ModelHandle, batch: NativeBatch, adapter?: 'on' | 'off'): Promise<NativeScores>;
  /** Waits for turns in progress. Resolves to the gradient norm before clipping. */
  step(model: ModelHandle, options: NativeAdamW): Promise<number>;
  /** Returns an id. */
  openSampler(model: ModelHandle, maxSequences: number, maxContextTokens: number): number;
  /** Turns of its sequences end as cancelled. */
  closeSampler(model: ModelHandle, sampler: number): Promise<void>;
  /** Returns an id. */
  openSequence(
    model: ModelHandle,
    sampler: number,
    tokens: Int32Array,
    key0: number,
    key1: number,
  ): number;
  append(model: ModelHandle, sequence: number, tokens: Int32Array): void;
  /** One turn; a sequence has at most one at a time. */
  generate(model: ModelHandle, sequence: number, request: NativeRequest): Promise<NativeTurn>;
  /** The turn in progress of a sequence, if any, ends as cancelled with what it has sampled. */
  cancel(model: ModelHandle, sequence: number): void;
  closeSequence(model: ModelHandle, sequence: number): void;
  /** Turns end as cancelled; resolves when the thread has ended and the memory is free. */
  dispose(model: ModelHandle): Promise<void>;
  hardware(): { cores: number };
  /** What a model on the CPU is going to hold. */
  planMemory(config: NativeConfig, use: NativeMemoryUse, lora?: NativeLora): NativeMemoryPlan;
  /** What memory is used for, as a table for people; empty on the CPU. */
  memory(model: ModelHandle): Promise<string>;
  /** Name of the GPU that the plug-in at this path finds; throws where there is none. */
  probeCuda(plugin: string): string;
}

/** The names of `Binding`, for `scripts/check-binding.ts`; the type makes the list complete. */
export const bindingNames: Readonly<Record<keyof Binding, true>> = {
  createModel: true,
  readArena: true,
  writeArena: true,
  setVersion: true,
  accumulate: true,
  score: true,
  step: true,
  openSampler: true,
  closeSampler: true,
  openSequence: true,
  append: true,
  generate: true,
  cancel: true,
  closeSequence: true,
  dispose: true,
  hardware: true,
  planMemory: true,
  memory: true,
  probeCuda: true,
};
