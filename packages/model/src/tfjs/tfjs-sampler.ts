// The sampler of the tfjs model: obeys the port and recomputes the whole sequence for every token.
import { setImmediate } from 'node:timers/promises';
import { InputError } from '@masksearch/core';
import { checkGenerateRequest, checkTokens } from '../check-arguments.ts';
import type { DecoderConfig } from '../decoder-config.ts';
import { drawable } from '../drawable.ts';
import { endsWithStop, inverseCdf, mostProbable, uniformAt } from '../draw-token.ts';
import type {
  GenerateRequest,
  GenerateResult,
  Sampler,
  SamplerOptions,
  SamplerSequence,
} from '../language-model.ts';

/** What a sampler needs of its model. */
export interface NextTokenModel {
  readonly config: DecoderConfig;
  /** Changes whenever the weights do. */
  readonly epoch: () => number;
  /** Turns are to end as cancelled. */
  readonly isDisposing: () => boolean;
  /** Runs a job after all calls issued before it. */
  readonly run: <T>(job: () => Promise<T>) => Promise<T>;
  /** (V) log-probabilities (nats) of what follows `tokens`; only within `run`. */
  readonly nextLogProbs: (tokens: Int32Array, temperature: number) => Float32Array;
}

export class TfjsSampler implements Sampler {
  readonly #options: SamplerOptions;
  readonly #model: NextTokenModel;
  readonly #epoch: number;
  readonly #sequences = new Set<TfjsSequence>();
  #closed = false;

  constructor(options: SamplerOptions, model: NextTokenModel) {
    this.#options = options;
    this.#model = model;
    this.#epoch = model.epoch();
  }

  open(tokens: Int32Array, key: readonly [number, number]): SamplerSequence {
    this.checkLive('open');
    const sequence = new TfjsSequence(this, this.#model, this.#options.maxContextTokens, key);
    sequence.append(tokens);
    this.#sequences.add(sequence);
    return sequence;
  }

  async close(): Promise<void> {
    this.#closed = true;
    const sequences = [...this.#sequences];
    for (const sequence of sequences) sequence.close();
    await Promise.all(sequences.map((sequence) => sequence.settled()));
  }

  forget(sequence: TfjsSequence): void {
    this.#sequences.delete(sequence);
  }

  /** @throws {InputError} The sampler is closed, or the weights have changed since it was made. */
  checkLive(where: string): void {
    if (this.#closed) throw new InputError(`${where}: expected an open sampler, it is closed.`);
    this.checkEpoch(where);
  }

  /** @throws {InputError} The weights have changed since the sampler was made. */
  checkEpoch(where: string): void {
    if (this.#model.epoch() !== this.#epoch) {
      throw new InputError(
        `${where}: expected a sampler of the present weights, they have changed since it was made; make a new one after each step.`,
      );
    }
  }
}

class TfjsSequence implements SamplerSequence {
  readonly #sampler: TfjsSampler;
  readonly #model: NextTokenModel;
  readonly #capacity: number;
  readonly #key: readonly [number, number];
  readonly #tokens: number[] = [];
  #turn: Promise<unknown> | undefined;
  #closed = false;

  constructor(
    sampler: TfjsSampler,
    model: NextTokenModel,
    capacity: number,
    key: readonly [number, number],
  ) {
    this.#sampler = sampler;
    this.#model = model;
    this.#capacity = capacity;
    this.#key = key;
  }

  get length(): number {
    return this.#tokens.length;
  }

  append(tokens: Int32Array): void {
    this.#checkIdle('append');
    checkTokens(tokens, this.#model.config, 'append');
    if (this.length + tokens.length > this.#capacity) {
      throw new InputError(
        `append: expected at most ${this.#capacity} tokens in the context, received ${this.length} + ${tokens.length}.`,
      );
    }
    this.#tokens.push(...tokens);
  }

  async generate(request: GenerateRequest): Promise<GenerateResult> {
    this.#checkIdle('generate');
    checkGenerateRequest(request, this.#model.config);
    if (this.length === 0) {
      throw new InputError('generate: expected at least one token to start from, received none.');
    }
    const turn = this.#model.run(() => this.#runTurn(request));
    this.#turn = turn;
    try {
      return await turn;
    } finally {
      this.#turn = undefined;
    }
  }

  close(): void {
    this.#closed = true;
    this.#sampler.forget(this);
  }

  /** Resolves when no turn is in progress any more. */
  async settled(): Promise<void> {
    await this.#turn?.catch(() => undefined);
  }

  async #runTurn(request: GenerateRequest): Promise<GenerateResult> {
    const tokens: number[] = [];
    const logProbs: number[] = [];
    const end = (reason: GenerateResult['reason']): GenerateResult => ({
      tokens: Int32Array.from(tokens),
      logProbs: Float32Array.from(logProbs),
      reason,
    });
    this.#sampler.checkEpoch('generate');
    for (;;) {
      if (endsWithStop(tokens, request.stop)) return end('stop');
      if (tokens.length === request.maxTokens) return end('length');
      if (this.length === this.#capacity) return end('context-full');
      await setImmediate(); // lets an abort or a close be heard
      if (this.#isCancelled(request.signal)) return end('cancelled');
      const next = this.#sampleToken(request);
      this.#tokens.push(next.token);
      tokens.push(next.token);
      logProbs.push(next.logProb);
    }
  }

  #isCancelled(signal: AbortSignal | undefined): boolean {
    return signal?.aborted === true || this.#closed || this.#model.isDisposing();
  }

  #sampleToken(request: GenerateRequest): { token: number; logProb: number } {
    const { temperature, turn } = request;
    const context = Int32Array.from(this.#tokens);
    const row = this.#model.nextLogProbs(context, temperature === 0 ? 1 : temperature);
    const draw = { key: this.#key, turn, position: this.length };
    const left = drawable(row, request);
    const token = temperature === 0 ? mostProbable(left) : inverseCdf(left, uniformAt(draw));
    return { token, logProb: row[token] as number };
  }

  #checkIdle(where: string): void {
    if (this.#closed) throw new InputError(`${where}: expected an open sequence, it is closed.`);
    this.#sampler.checkLive(where);
    if (this.#turn !== undefined) {
      throw new InputError(`${where}: expected no turn in progress, one is; await it first.`);
    }
  }
}
