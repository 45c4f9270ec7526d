// Conformance of the sampler: when a turn ends, and what may happen meanwhile.
import { expect } from 'vitest';
import type { GenerateRequest } from '../language-model.ts';
import { randomBatch, randomWeights } from './random-inputs.ts';
import { config, options, prompt, request, sampleAlone, start, V } from './sampling.ts';
import type { Suite } from './suite.ts';

export function turnTests(suite: Suite): void {
  endTests(suite);
  interruptionTests(suite);
}

function endTests(suite: Suite): void {
  suite.test(
    'a turn ends after a stop sequence, which is kept, or at its length',
    async (create) => {
      const model = await start(create, 58);
      const free = await sampleAlone(model, prompt, [3, 4]);
      expect(free).toMatchObject({ reason: 'length' });
      expect(free.tokens).toHaveLength(12);
      const stop = [[V - 1, V - 1, V - 1], Array.from(free.tokens.slice(3, 6))];
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
}

function interruptionTests(suite: Suite): void {
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
      { topP: -0.1 },
      { topP: 1.1 },
      { topP: NaN },
      { allowed: new Uint32Array(0) },
      { allowed: new Uint32Array(Math.ceil(V / 32)) },
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
