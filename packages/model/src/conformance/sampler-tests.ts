// Conformance of the sampler: what is drawn, when a turn ends, and that nothing else matters.
import { expect } from 'vitest';
import { inverseCdf, uniformAt } from '../draw-token.ts';
import type {
  GenerateRequest,
  GenerateResult,
  LanguageModel,
  PackedBatch,
} from '../language-model.ts';
import { randomBatch, randomWeights } from './random-inputs.ts';
import { baseShape } from './shapes.ts';
import type { ConformanceOptions, Suite } from './suite.ts';

const { config } = baseShape;
const V = config.vocabularySize;
const options = { maxSequences: 4, maxContextTokens: 64 };
const request: GenerateRequest = { maxTokens: 12, stop: [], temperature: 1, turn: 0 };
const prompt = Int32Array.of(3, 1, 4, 1, 5);

const start = (create: ConformanceOptions['create'], seed: number): Promise<LanguageModel> =>
  create({ config, weights: randomWeights(config, seed) });

/** One sequence, every token but the first a label. */
function wholeBatch(tokens: readonly number[]): PackedBatch {
  return {
    tokens: Int32Array.from(tokens),
    offsets: Int32Array.of(0, tokens.length),
    lossMask: Uint8Array.from(tokens, (_, t) => (t === 0 ? 0 : 1)),
  };
}

async function sampleAlone(
  model: LanguageModel,
  tokens: Int32Array,
  key: readonly [number, number],
  change: Partial<GenerateRequest> = {},
): Promise<GenerateResult> {
  const sampler = model.sampler(options);
  try {
    return await sampler.open(tokens, key).generate({ ...request, ...change });
  } finally {
    await sampler.close();
  }
}

/** (V) log-probabilities of what follows `tokens`, from `score`. */
async function nextLogProbs(
  model: LanguageModel,
  tokens: readonly number[],
): Promise<Float32Array> {
  const rows: Promise<number>[] = [];
  for (let v = 0; v < V; v++) {
    const scores = model.score(wholeBatch([...tokens, v]));
    rows.push(scores.then(({ logProbs }) => logProbs[tokens.length] as number));
  }
  return Float32Array.from(await Promise.all(rows));
}

export function samplerTests(suite: Suite): void {
  suite.test(
    'log-probabilities of sampled tokens equal score bit for bit, across turns',
    async (create) => {
      const model = await start(create, 51);
      const sampler = model.sampler(options);
      const sequence = sampler.open(prompt, [1, 2]);
      const tokens = [...prompt];
      const logProbs: number[] = prompt.length === 0 ? [] : [...prompt].map(() => 0);
      for (let turn = 0; turn < 3; turn++) {
        const result = await sequence.generate({ ...request, turn });
        tokens.push(...result.tokens);
        logProbs.push(...result.logProbs);
        const tool = randomBatch(config, [3 + turn], 52 + turn).tokens;
        sequence.append(tool);
        tokens.push(...tool);
        logProbs.push(...[...tool].map(() => 0));
        expect(sequence.length).toBe(tokens.length);
      }
      await sampler.close();
      const scores = await model.score(wholeBatch(tokens));
      const sampled = logProbs.map((logProb, t) =>
        logProb === 0 ? 0 : (scores.logProbs[t] as number),
      );
      expect(logProbs).toEqual(sampled);
      expect(logProbs.filter((logProb) => logProb !== 0)).toHaveLength(36);
    },
  );

  suite.test(
    'draws by the inverse distribution function at the uniform of its key',
    async (create) => {
      const model = await start(create, 53);
      const key = [77, 88] as const;
      const { tokens } = await sampleAlone(model, prompt, key, { maxTokens: 4, turn: 6 });
      const context = [...prompt];
      for (const token of tokens) {
        const uniform = uniformAt({ key, turn: 6, position: context.length });
        expect(token).toBe(inverseCdf(await nextLogProbs(model, context), uniform));
        context.push(token);
      }
    },
  );

  suite.test('temperature divides the logits', async (create) => {
    const model = await start(create, 54);
    const key = [5, 6] as const;
    const temperature = 0.5;
    const { tokens, logProbs } = await sampleAlone(model, prompt, key, {
      maxTokens: 1,
      temperature,
    });
    const row = await nextLogProbs(model, [...prompt]);
    const scaled = row.map((logProb) => logProb / temperature);
    const norm = Math.log(scaled.reduce((sum, logProb) => sum + Math.exp(logProb), 0));
    const expected = scaled.map((logProb) => logProb - norm);
    const uniform = uniformAt({ key, turn: 0, position: prompt.length });
    expect(tokens[0]).toBe(inverseCdf(expected, uniform));
    expect(logProbs[0]).toBeCloseTo(expected[tokens[0] as number] as number, 5);
  });

  suite.test(
    'temperature 0 takes the best token, with its log-probability at temperature 1',
    async (create) => {
      const model = await start(create, 55);
      const { tokens, logProbs } = await sampleAlone(model, prompt, [1, 1], {
        maxTokens: 3,
        temperature: 0,
      });
      const context = [...prompt];
      for (const [i, token] of tokens.entries()) {
        const row = await nextLogProbs(model, context);
        expect(token).toBe(row.indexOf(Math.max(...row)));
        expect(logProbs[i]).toBe(row[token]);
        context.push(token);
      }
    },
  );

  suite.test(
    'a sample depends on its key and turn and on nothing else in the batch',
    async (create) => {
      const model = await start(create, 56);
      const keys = Array.from({ length: 7 }, (_, i) => [i, 1000 + i] as const);
      const prompts = keys.map((_, i) => randomBatch(config, [1 + 3 * i], 57 + i).tokens);
      const short = { maxTokens: 6 };
      const alone: GenerateResult[] = [];
      for (const [i, key] of keys.entries()) {
        alone.push(await sampleAlone(model, prompts[i] as Int32Array, key, short));
      }
      const sampler = model.sampler(options); // four at once, seven wanted
      const turns = keys.map((key, i) =>
        sampler.open(prompts[i] as Int32Array, key).generate({ ...request, ...short }),
      );
      expect(await Promise.all(turns)).toEqual(alone);
      await sampler.close();
      const other = await sampleAlone(
        model,
        prompts[3] as Int32Array,
        keys[4] as readonly [number, number],
        short,
      );
      expect(other.tokens).not.toEqual(alone[3]?.tokens);
      const later = await sampleAlone(
        model,
        prompts[3] as Int32Array,
        keys[3] as readonly [number, number],
        { ...short, turn: 1 },
      );
      expect(later.tokens).not.toEqual(alone[3]?.tokens);
    },
  );

  suite.test(
    'a turn ends after a stop sequence, which is kept, or at its length',
    async (create) => {
      const model = await start(create, 58);
      const free = await sampleAlone(model, prompt, [3, 4]);
      expect(free).toMatchObject({ reason: 'length' });
      expect(free.tokens).toHaveLength(12);
      const stop = [[V - 1, V - 1, V - 1], [...free.tokens.slice(3, 6)]];
      const stopped = await sampleAlone(model, prompt, [3, 4], { stop });
      const end = [...free.tokens.keys()].find(
        (i) => i >= 2 && stop[1]?.every((token, j) => free.tokens[i - 2 + j] === token),
      );
      expect(stopped.reason).toBe('stop');
      expect(stopped.tokens).toEqual(free.tokens.slice(0, (end ?? NaN) + 1));
      expect(stopped.logProbs).toEqual(free.logProbs.slice(0, (end ?? NaN) + 1));
    },
  );

  suite.test('a stop sequence counts only tokens of its turn', async (create) => {
    const model = await start(create, 59);
    const [first] = (await sampleAlone(model, prompt, [3, 4], { maxTokens: 1 })).tokens;
    const stop = [[prompt[4] as number, first as number]]; // begins in the prompt
    const result = await sampleAlone(model, prompt, [3, 4], { maxTokens: 1, stop });
    expect(result.reason).toBe('length');
  });

  suite.test('a turn ends when the context is full', async (create) => {
    const model = await start(create, 60);
    const sampler = model.sampler({ maxSequences: 1, maxContextTokens: 8 });
    const sequence = sampler.open(prompt, [1, 2]);
    const result = await sequence.generate(request);
    expect(result).toMatchObject({ reason: 'context-full' });
    expect(result.tokens).toHaveLength(3);
    const none = await sequence.generate({ ...request, turn: 1 });
    expect(none).toEqual({
      tokens: new Int32Array(0),
      logProbs: new Float32Array(0),
      reason: 'context-full',
    });
    expect(() => sequence.append(prompt)).toThrow(expect.objectContaining({ code: 'input' }));
    expect(() => sampler.open(new Int32Array(9), [1, 2])).toThrow('at most 8 tokens');
    await sampler.close();
  });

  suite.test(
    'an abort or a close ends a turn as cancelled, and the others go on',
    async (create) => {
      // So long a turn that no engine ends it before it is told to.
      const roomy = { ...config, maxPositions: 2 ** 17 };
      const model = await create({ config: roomy, weights: randomWeights(config, 61) });
      const sampler = model.sampler({ maxSequences: 3, maxContextTokens: roomy.maxPositions });
      const expected = await sampler.open(prompt, [9, 9]).generate(request);
      const controller = new AbortController();
      const long = { ...request, maxTokens: 100_000 };
      const aborted = sampler.open(prompt, [1, 1]);
      const closed = sampler.open(prompt, [2, 2]);
      const turns = [
        aborted.generate({ ...long, signal: controller.signal }),
        closed.generate(long),
        sampler.open(prompt, [9, 9]).generate(request),
        aborted.generate(long).catch((error: unknown) => error),
      ];
      controller.abort();
      closed.close();
      const [first, second, third, refused] = await Promise.all(turns);
      expect(first).toMatchObject({ reason: 'cancelled' });
      expect(second).toMatchObject({ reason: 'cancelled' });
      expect(third).toEqual(expected);
      expect(refused).toMatchObject({ code: 'input' });
      const early = { ...long, signal: AbortSignal.abort() };
      expect(await aborted.generate({ ...early, turn: 1 })).toMatchObject({ reason: 'cancelled' });
      expect(() => closed.append(prompt)).toThrow('it is closed');
      await sampler.close();
      expect(() => sampler.open(prompt, [1, 2])).toThrow('it is closed');
    },
  );

  suite.test(
    'step waits for turns in progress and ends the life of the sampler',
    async (create) => {
      const model = await start(create, 62);
      const expected = await sampleAlone(model, prompt, [1, 2]);
      const batch = randomBatch(config, [9, 5], 63);
      await model.accumulate(batch, { type: 'cross-entropy', scale: 1 });
      const sampler = model.sampler(options);
      const sequence = sampler.open(prompt, [1, 2]);
      const turn = sequence.generate(request);
      const step = model.step({ learningRate: 0.1 });
      expect(await turn).toEqual(expected);
      await step;
      expect(model.version).toBe(1);
      await expect(sequence.generate({ ...request, turn: 1 })).rejects.toMatchObject({
        code: 'input',
      });
      expect(() => sampler.open(prompt, [1, 2])).toThrow('make a new one after each step');
      await sampler.close();
      expect(await sampleAlone(model, prompt, [1, 2])).not.toEqual(expected);
    },
  );

  suite.test('refuses requests that make no sense', async (create) => {
    const model = await start(create, 64);
    expect(() => model.sampler({ ...options, maxSequences: 0 })).toThrow('maxSequences');
    expect(() => model.sampler({ ...options, maxContextTokens: 129 })).toThrow('maxContextTokens');
    const sampler = model.sampler(options);
    expect(() => sampler.open(Int32Array.of(V), [1, 2])).toThrow('token ids');
    const empty = sampler.open(new Int32Array(0), [1, 2]);
    await expect(empty.generate(request)).rejects.toThrow('at least one token');
    const sequence = sampler.open(prompt, [1, 2]);
    const wrong: Partial<GenerateRequest>[] = [
      { maxTokens: 0 },
      { temperature: -1 },
      { temperature: NaN },
      { turn: -1 },
      { stop: [[]] },
      { stop: [[V]] },
    ];
    for (const change of wrong) {
      await expect(sequence.generate({ ...request, ...change })).rejects.toMatchObject({
        code: 'input',
      });
    }
    expect(await sequence.generate(request)).toMatchObject({ reason: 'length' });
    await sampler.close();
  });
}
