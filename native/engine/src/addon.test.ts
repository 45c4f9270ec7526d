// The life of the addon: exits with work in flight, workers, collection, errors, a build that is missing.
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { bindingDifferences, loadBinding, loadBindingFrom } from './load-binding.ts';
import { callNative } from './native-errors.ts';

const config = {
  vocabularySize: 50,
  width: 32,
  layers: 2,
  heads: 2,
  keyValueHeads: 1,
  headWidth: 16,
  feedForwardWidth: 64,
  ropeTheta: 10_000,
  normEpsilon: 1e-6,
  maxPositions: 2 ** 20,
  attentionBias: true,
  tiedEmbeddings: true,
};

/** Lines that the scripts below start with: a model, a batch that takes a while, an endless turn. */
const prelude = `
  import { setTimeout as sleep } from 'node:timers/promises';
  import { Worker } from 'node:worker_threads';
  import { loadBinding } from ${JSON.stringify(new URL('./load-binding.ts', import.meta.url).href)};
  const binding = loadBinding();
  const config = ${JSON.stringify(config)};
  const T = 2000;
  const batch = {
    tokens: new Int32Array(T), offsets: Int32Array.of(0, T), lossMask: new Uint8Array(T).fill(1, 1),
  };
  const { model } = await binding.createModel(config, 2);
  const endlessTurn = () => {
    const sampler = binding.openSampler(model, 4, config.maxPositions);
    const sequence = binding.openSequence(model, sampler, Int32Array.of(1), 1, 2);
    const request = { maxTokens: 1e6, stop: [], temperature: 1, turn: 0 };
    return [sequence, binding.generate(model, sequence, request)];
  };
`;

/** Runs a script in its own process. A crash, a hang or a non-zero exit rejects. */
async function run(script: string, flags: readonly string[] = []): Promise<string> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [...flags, '--input-type=module', '--eval', prelude + script],
    { timeout: 20_000, killSignal: 'SIGKILL', cwd: fileURLToPath(new URL('.', import.meta.url)) },
  );
  return stdout.trim();
}

describe('the addon', () => {
  test('registers what binding.ts declares', () => {
    expect(bindingDifferences(loadBinding())).toEqual({ missing: [], undeclared: [] });
    expect(bindingDifferences({ extra: 1, score: 2 })).toMatchObject({
      missing: expect.arrayContaining(['score', 'step']),
      undeclared: ['extra'],
    });
  });

  test('that is not built is an error that names the command', () => {
    expect(() => loadBindingFrom('/nowhere/engine.node')).toThrow(
      expect.objectContaining({
        code: 'unavailable',
        message: expect.stringContaining('run build:native'),
      }),
    );
    expect(() => loadBindingFrom(fileURLToPath(import.meta.url))).toThrow('could not load');
  });

  test('refuses arguments of the wrong type without harm', async () => {
    const binding = loadBinding();
    const { model } = await binding.createModel(config, 1);
    const batch = { tokens: [1, 2], offsets: Int32Array.of(0, 2), lossMask: Uint8Array.of(0, 1) };
    const wrong: readonly (readonly [string, readonly unknown[], string])[] = [
      ['score', [{}, batch], 'model handle'],
      ['score', [], 'model to be an object'],
      ['score', [model, batch], 'tokens to be an Int32Array'],
      ['step', [model, { learningRate: '1' }], 'a number'],
      ['readArena', [model, 'heap', 0, 1], 'an arena'],
      ['accumulate', [model, {}, {}], 'tokens'],
    ];
    for (const [name, values, message] of wrong) {
      const call = Reflect.get(binding, name) as (...values: readonly unknown[]) => unknown;
      expect(() => call(...values)).toThrow(message);
    }
    await expect(binding.readArena(model, 'weights', 0, 1e12)).rejects.toMatchObject({
      code: 'input',
    });
    await expect(binding.createModel({ ...config, headWidth: 3 }, 1)).rejects.toThrow('even');
    await binding.dispose(model);
    expect(() => binding.score(model, { ...batch, tokens: Int32Array.of(1, 2) })).toThrow(
      'disposed',
    );
  });

  test('errors of C++ become ours, with a stack that leads to the caller', async () => {
    const binding = loadBinding();
    async function callerWithAName(): Promise<void> {
      await callNative('test', () => binding.createModel({ ...config, layers: 0 }, 1));
    }
    const error = await callerWithAName().catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      code: 'input',
      message: expect.stringContaining('test: Model: expected layers >= 1'),
      stack: expect.stringContaining('callerWithAName'),
    });
  });

  test('the event loop turns while the engine works', async () => {
    const output = await run(`
      let ticks = 0;
      const timer = setInterval(() => ticks++, 1);
      await Promise.all(Array.from({ length: 20 }, () => binding.score(model, batch)));
      clearInterval(timer);
      console.log(ticks > 5);
    `);
    expect(output).toBe('true');
  });

  test('a process exits by itself when nothing is pending, and waits for what is', async () => {
    expect(await run(`binding.score(model, batch).then(() => console.log('scored'));`)).toBe(
      'scored',
    );
  });

  test.each([
    ['a batch', 'binding.score(model, batch); binding.score(model, batch);'],
    ['a turn', 'endlessTurn(); await sleep(20);'],
    [
      'a custom loss that is not answered',
      `binding.accumulate(model, batch, { type: 'custom', evaluate: () => process.exit(0) });
       await sleep(5000);`,
    ],
  ])('process.exit with %s in flight ends cleanly', async (_, script) => {
    await run(`${script} process.exit(0);`);
  });

  test('disposing cancels turns and waits for the rest', async () => {
    const output = await run(`
      const [, turn] = endlessTurn();
      const score = binding.score(model, batch);
      await sleep(5);
      await binding.dispose(model);
      console.log((await turn).reason, (await score).logProbs.length);
    `);
    expect(output).toBe('cancelled 2000');
  });

  test('works in workers, which may be terminated at any time', { timeout: 30_000 }, async () => {
    const work = `
      for (;;) {
        const [, turn] = endlessTurn();
        const short = { tokens: new Int32Array(9), offsets: Int32Array.of(0, 9), lossMask: batch.lossMask.slice(0, 9) };
        short.lossMask[0] = 0;
        const evaluate = (_, logProbs, entropies) => ({ loss: 1, dLogProbs: logProbs, dEntropies: entropies });
        await Promise.all([
          binding.score(model, short),
          binding.accumulate(model, short, { type: 'custom', evaluate }),
          binding.readArena(model, 'weights', 0, 100),
          binding.createModel(config, 2).then(({ model }) => binding.dispose(model)),
        ]);
      }
    `;
    const output = await run(`
      const source = ${JSON.stringify(prelude + work)};
      for (let i = 0; i < 16; i++) {
        const workers = [0, 1].map(
          () => new Worker(new URL('data:text/javascript,' + encodeURIComponent(source))),
        );
        await Promise.all(workers.map((worker) => new Promise((online) => worker.once('online', online))));
        await sleep(50 + 11 * i);
        await Promise.all(workers.map((worker) => worker.terminate()));
      }
      console.log((await binding.score(model, batch)).logProbs.length);
    `);
    expect(output).toBe('2000');
  });

  test('models that are dropped are freed, with their threads', async () => {
    const output = await run(
      `
      const { readdirSync } = await import('node:fs');
      const threads = () => readdirSync('/proc/self/task').length;
      const before = threads();
      for (let i = 0; i < 5; i++) {
        const { model } = await binding.createModel(config, 2);
        binding.score(model, batch);
      }
      const each = (threads() - before) / 5;
      const left = before + each; // the frame of this module may hold the last one
      for (let i = 0; i < 100 && threads() > left; i++) {
        globalThis.gc();
        await sleep(20);
      }
      console.log(each >= 1, threads() <= left);
      `,
      ['--expose-gc'],
    );
    expect(output).toBe('true true');
  });
});
