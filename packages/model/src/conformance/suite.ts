// What the parts of the conformance suite share: a test with a name that can be skipped, and models that are disposed.
import { expect, test } from 'vitest';
import type { DecoderConfig } from '../decoder-config.ts';
import type { AdapterStart } from '../lora.ts';
import type { LanguageModel, NamedTensor } from '../language-model.ts';

export interface ConformanceOptions {
  /** Which implementation, e.g. `tfjs cpu`. */
  readonly name: string;
  readonly create: (options: {
    config: DecoderConfig;
    weights: readonly NamedTensor[];
    adapter?: AdapterStart;
  }) => Promise<LanguageModel>;
  /** Tests that do not hold here, and why. An unknown name fails. */
  readonly skip: readonly { readonly reason: string; readonly tests: readonly string[] }[];
}

/** Slow backends on busy machines; a test that hangs ends all the same. */
const TIMEOUT_MS = 60_000;

/** Registers the tests of one implementation. */
export class Suite {
  readonly #options: ConformanceOptions;
  readonly #names: string[] = [];

  constructor(options: ConformanceOptions) {
    this.#options = options;
  }

  /** A test that gets a maker of models, which are disposed of after it. */
  test(name: string, run: (create: ConformanceOptions['create']) => Promise<void>): void {
    this.#names.push(name);
    const reason = this.#options.skip.find(({ tests }) => tests.includes(name))?.reason;
    const title = reason === undefined ? name : `${name} (skipped: ${reason})`;
    test.skipIf(reason !== undefined)(`${title}`, { timeout: TIMEOUT_MS }, async () => {
      const models: LanguageModel[] = [];
      try {
        await run(async (options) => {
          const model = await this.#options.create(options);
          models.push(model);
          return model;
        });
      } finally {
        await Promise.all(models.map((model) => model.dispose()));
      }
    });
  }

  /** To be called last. */
  checkSkips(): void {
    const skipped = this.#options.skip.flatMap(({ tests }) => tests);
    test(`skips ${skipped.length} tests, all of them known`, () => {
      expect(this.#names).toEqual(expect.arrayContaining(skipped));
    });
  }
}
