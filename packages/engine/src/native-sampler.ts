// The engine's sampler as a Sampler: ids and lengths are kept here, tokens and caches over there.
import { InputError } from '@masksearch/core';
import {
  checkGenerateRequest,
  checkTokens,
  type DecoderConfig,
  type GenerateRequest,
  type GenerateResult,
  type Sampler,
  type SamplerOptions,
  type SamplerSequence,
} from '@masksearch/model';
import {
  callNative,
  callNativeSync,
  type Binding,
  type ModelHandle,
} from '@masksearch/native-engine';

/** What a sampler needs of its model. */
export interface SamplerModel {
  readonly config: DecoderConfig;
  readonly binding: Binding;
  readonly handle: ModelHandle;
  /** @throws {InputError} The model is disposed or its weights have changed since. */
  readonly checkLive: (where: string) => void;
  /** Disposing of the model has closed its samplers and ended their turns. */
  readonly isDisposed: () => boolean;
}

export class NativeSampler implements Sampler {
  readonly #options: SamplerOptions;
  readonly #model: SamplerModel;
  readonly #id: number;
  #closed: Promise<void> | undefined;

  constructor(options: SamplerOptions, model: SamplerModel) {
    this.#options = options;
    this.#model = model;
    this.#id = callNativeSync('sampler', () =>
      model.binding.openSampler(model.handle, options.maxSequences, options.maxContextTokens),
    );
  }

  open(tokens: Int32Array, key: readonly [number, number]): SamplerSequence {
    this.#checkLive('open');
    const { config, binding, handle } = this.#model;
    const capacity = this.#options.maxContextTokens;
    checkTokens(tokens, config, 'open');
    checkCapacity('open', 0, tokens.length, capacity);
    const id = callNativeSync('open', () =>
      binding.openSequence(handle, this.#id, tokens, key[0] >>> 0, key[1] >>> 0),
    );
    const model = { ...this.#model, checkLive: (where: string) => this.#checkLive(where) };
    return new NativeSequence({ id, model, capacity, length: tokens.length });
  }

  close(): Promise<void> {
    const { binding, handle, isDisposed } = this.#model;
    if (isDisposed()) this.#closed ??= Promise.resolve();
    this.#closed ??= callNative('close', () => binding.closeSampler(handle, this.#id));
    return this.#closed;
  }

  #checkLive(where: string): void {
    if (this.#closed !== undefined) {
      throw new InputError(`${where}: expected an open sampler, it is closed.`);
    }
    this.#model.checkLive(where);
  }
}

class NativeSequence implements SamplerSequence {
  readonly #id: number;
  readonly #model: SamplerModel;
  readonly #capacity: number;
  #length: number;
  #running = false;
  #closed = false;

  constructor(sequence: { id: number; model: SamplerModel; capacity: number; length: number }) {
    this.#id = sequence.id;
    this.#model = sequence.model;
    this.#capacity = sequence.capacity;
    this.#length = sequence.length;
  }

  get length(): number {
    return this.#length;
  }

  append(tokens: Int32Array): void {
    this.#checkIdle('append');
    const { config, binding, handle } = this.#model;
    checkTokens(tokens, config, 'append');
    checkCapacity('append', this.#length, tokens.length, this.#capacity);
    callNativeSync('append', () => binding.append(handle, this.#id, tokens));
    this.#length += tokens.length;
  }

  async generate(request: GenerateRequest): Promise<GenerateResult> {
    this.#checkIdle('generate');
    const { config, binding, handle, isDisposed } = this.#model;
    checkGenerateRequest(request, config);
    if (this.#length === 0) {
      throw new InputError('generate: expected at least one token to start from, received none.');
    }
    const { maxTokens, temperature, topP = 1, allowed, turn, signal } = request;
    const limits = { topP, ...(allowed === undefined ? {} : { allowed }) };
    const stop = request.stop.map((sequence) => Int32Array.from(sequence));
    const cancel = (): void => {
      if (!isDisposed()) binding.cancel(handle, this.#id);
    };
    this.#running = true;
    try {
      const pending = callNative('generate', () =>
        binding.generate(handle, this.#id, { maxTokens, stop, temperature, turn, ...limits }),
      );
      if (signal?.aborted === true) cancel();
      else signal?.addEventListener('abort', cancel, { once: true });
      const result = await pending;
      this.#length += result.tokens.length;
      return result;
    } finally {
      this.#running = false;
      signal?.removeEventListener('abort', cancel);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const { binding, handle, isDisposed } = this.#model;
    if (isDisposed()) return;
    callNativeSync('close', () => binding.closeSequence(handle, this.#id));
  }

  #checkIdle(where: string): void {
    if (this.#closed) throw new InputError(`${where}: expected an open sequence, it is closed.`);
    this.#model.checkLive(where);
    if (this.#running) {
      throw new InputError(`${where}: expected no turn in progress, one is; await it first.`);
    }
  }
}

function checkCapacity(where: string, held: number, added: number, capacity: number): void {
  if (held + added > capacity) {
    throw new InputError(
      `${where}: expected at most ${capacity} tokens in the context, received ${held} + ${added}.`,
    );
  }
}
