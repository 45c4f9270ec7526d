// Conformance of the sampler: what is drawn, and that it depends on nothing else.
import { expect } from 'vitest';
import { inverseCdf, uniformAt } from '../draw-token.ts';
import { drawable } from '../drawable.ts';
import type { GenerateResult, LanguageModel, PackedBatch } from '../language-model.ts';
import { randomBatch } from './random-inputs.ts';
import { config, options, prompt, request, sampleAlone, start, V } from './sampling.ts';
import type { Suite } from './suite.ts';

export function drawTests(suite: Suite): void {
  distributionTests(suite);
  restrictionTests(suite);
  independenceTests(suite);
}

function distributionTests(suite: Suite): void {
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
}

function restrictionTests(suite: Suite): void {
  const everyThird = new Uint32Array(Math.ceil(V / 32));
  for (let v = 0; v < V; v += 3) {
    everyThird[v >>> 5] = (everyThird[v >>> 5] as number) | (1 << (v & 31));
  }

  suite.test(
    'topP and allowed leave fewer tokens to draw from, with log-probabilities of the model',
    async (create) => {
      const model = await start(create, 65);
      const key = [21, 22] as const;
      for (const limits of [
        { topP: 0.5 },
        { allowed: everyThird },
        { topP: 0.8, allowed: everyThird },
      ]) {
        const { tokens, logProbs } = await sampleAlone(model, prompt, key, {
          maxTokens: 4,
          ...limits,
        });
        const context = [...prompt];
        for (const [i, token] of tokens.entries()) {
          const row = await nextLogProbs(model, context);
          const uniform = uniformAt({ key, turn: 0, position: context.length });
          expect(token).toBe(inverseCdf(drawable(row, limits), uniform));
          expect(logProbs[i]).toBe(row[token]);
          context.push(token);
        }
      }
    },
  );

  suite.test('a topP of 1 changes no draw, and one of 0 is greedy', async (create) => {
    const model = await start(create, 66);
    const free = await sampleAlone(model, prompt, [7, 8]);
    expect(await sampleAlone(model, prompt, [7, 8], { topP: 1 })).toEqual(free);
    const greedy = await sampleAlone(model, prompt, [7, 8], { temperature: 0 });
    expect(await sampleAlone(model, prompt, [7, 8], { topP: 0 })).toEqual(greedy);
  });

  suite.test('greedy takes the best of the allowed tokens', async (create) => {
    const model = await start(create, 67);
    const limits = { maxTokens: 1, temperature: 0, allowed: everyThird };
    const { tokens, logProbs } = await sampleAlone(model, prompt, [1, 1], limits);
    const row = await nextLogProbs(model, [...prompt]);
    const best = Math.max(...row.filter((_, v) => v % 3 === 0));
    expect(logProbs[0]).toBe(best);
    expect((tokens[0] as number) % 3).toBe(0);
  });
}

function independenceTests(suite: Suite): void {
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
}

/** One sequence, every token but the first a label. */
function wholeBatch(tokens: readonly number[]): PackedBatch {
  return {
    tokens: Int32Array.from(tokens),
    offsets: Int32Array.of(0, tokens.length),
    lossMask: Uint8Array.from(tokens, (_, t) => (t === 0 ? 0 : 1)),
  };
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
