import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { IntegrityError, RandomStream } from '@masksearch/core';
import {
  elementCount,
  joinPieces,
  STATE_PARTS,
  type ModelState,
  type WeightSource,
} from '@masksearch/model';
import { GAME_DECODER } from '../../test/game-decoder.ts';
import {
  latestCheckpoint,
  listCheckpoints,
  openCheckpoint,
  pruneCheckpoints,
  removeUnfinishedCheckpoints,
  saveCheckpoint,
} from './checkpoint.ts';

const schema = z.strictObject({ cursor: z.number() });
const tensor = (name: string, ...values: number[]) => ({
  name,
  shape: [values.length],
  data: Float32Array.from(values),
});
const tensors: ModelState = {
  version: 3,
  weights: [tensor('a', 1, 2), tensor('b', -0, Math.fround(0.1))],
  firstMoments: [tensor('a', 3, 4), tensor('b', 5, 6)],
  secondMoments: [tensor('a', 7, 8), tensor('b', 1e-40, 9)],
};

const model = { config: GAME_DECODER, version: 3, state: () => Promise.resolve(tensors) };

/** Everything a checkpoint holds. */
async function loadCheckpoint(path: string): Promise<{ model: object; state: unknown }> {
  const { model: found, state, close } = await openCheckpoint(path, schema);
  try {
    const parts = STATE_PARTS.map((part) => {
      const source = found[part] as WeightSource;
      const read = [...source.shapes].map(([name, shape]) => ({
        name,
        shape,
        data: joinPieces(source.pieces(name), elementCount(shape)),
      }));
      return [part, read] as const;
    });
    return { model: { version: found.version, ...Object.fromEntries(parts) }, state };
  } finally {
    close();
  }
}

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'checkpoint-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

describe('checkpoints', () => {
  test('give back bit for bit what was saved, extra files beside it', async () => {
    const state = { cursor: 0.1 + 0.2 };
    await saveCheckpoint(folder, 12, { model, state }, { 'config.json': '{}' });
    const path = join(folder, 'step-000012');
    expect(latestCheckpoint(folder)).toBe(path);
    expect(await loadCheckpoint(path)).toEqual({ model: tensors, state });
    expect(readFileSync(join(path, 'config.json'), 'utf8')).toBe('{}');
  });

  test('the latest is the one with the highest step among the complete ones', async () => {
    expect(latestCheckpoint(join(folder, 'absent'))).toBeUndefined();
    for (const step of [9, 10, 1_000_000]) {
      await saveCheckpoint(folder, step, { model, state: { cursor: step } });
    }
    mkdirSync(join(folder, 'step-2000000')); // never got its manifest
    mkdirSync(join(folder, 'step-000011.tmp-0123'));
    expect(listCheckpoints(folder)).toEqual([9, 10, 1_000_000]);
    pruneCheckpoints(folder, 2);
    expect(listCheckpoints(folder)).toEqual([10, 1_000_000]);
    removeUnfinishedCheckpoints(folder);
    expect(() => readFileSync(join(folder, 'step-000011.tmp-0123'))).toThrow(/ENOENT/);
  });

  test.each([
    ['model.safetensors', (path: string) => flipBit(path)],
    ['second-moments.safetensors', (path: string) => flipBit(path)],
    ['state.json', (path: string) => writeFileSync(path, '{"version":1}')],
    ['first-moments.safetensors', (path: string) => rmSync(path)],
  ])('a damaged %s is found, named, and never resumed from', async (name, damage) => {
    await saveCheckpoint(folder, 1, { model, state: { cursor: 1 } });
    const path = join(folder, 'step-000001');
    damage(join(path, name));
    await expect(loadCheckpoint(path)).rejects.toMatchObject({
      code: 'integrity',
      message: expect.stringContaining(join(path, name)) as string,
    });
  });

  test('any damaged byte of any file is found (seed 3)', async () => {
    await saveCheckpoint(folder, 1, { model, state: { cursor: 1 } });
    const path = join(folder, 'step-000001');
    const random = new RandomStream(3, 'damage');
    for (let round = 0; round < 100; round++) {
      const file = join(path, random.pick(readdirSync(path)));
      const whole = readFileSync(file);
      const damaged = Uint8Array.from(whole);
      const at = random.below(whole.length);
      damaged[at] = (damaged[at] as number) ^ (1 + random.below(255));
      writeFileSync(file, damaged);
      const loaded: unknown = await loadCheckpoint(path).catch((error: unknown) => error);
      // White space of the manifest may change without harm.
      if (!(loaded instanceof IntegrityError)) {
        expect(loaded, `${file} at ${at}`).toEqual({ model: tensors, state: { cursor: 1 } });
        expect(file).toMatch(/manifest\.json$/);
      }
      writeFileSync(file, whole);
    }
  });

  test('refuses a manifest that is not one, and the state of another trainer', async () => {
    await saveCheckpoint(folder, 1, { model, state: { epoch: 1 } });
    const path = join(folder, 'step-000001');
    await expect(loadCheckpoint(path)).rejects.toThrow(/state of this trainer.*; delete/);
    writeFileSync(join(path, 'manifest.json'), 'not json');
    await expect(loadCheckpoint(path)).rejects.toThrow(/expected JSON.*; delete/);
  });
});

function flipBit(path: string): void {
  const bytes = readFileSync(path);
  const last = bytes.length - 1;
  bytes[last] = (bytes[last] as number) ^ 1;
  writeFileSync(path, bytes);
}
