import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readManifest } from '@masksearch/core';
import { hashPath } from './hash-path.ts';
import { hashJson, stageFile, stageOutputs, type RunContext } from './run-folder.ts';
import { runStage, type StageDefinition } from './run-stage.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'run-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

function context(more: Partial<RunContext> = {}): RunContext {
  const signal = new AbortController().signal;
  return { folder, seed: 1, fresh: false, signal, say: () => undefined, ...more };
}

/** A stage that writes its configuration to a file and counts how often it ran. */
function stage(more: Partial<StageDefinition> = {}): StageDefinition & { runs: () => number } {
  let runs = 0;
  return {
    name: 'tasks',
    config: { text: 'hello' },
    inputs: { 'corpus/a.jsonl': 'f00' },
    resumable: false,
    execute: (work) => {
      runs++;
      writeFileSync(join(work.folder, 'out.txt'), 'hello');
      return Promise.resolve({ counts: { written: 1 }, device: 'cpu' });
    },
    runs: () => runs,
    ...more,
  };
}

describe('runStage', () => {
  test('leaves a manifest that says what was read, done and written', async () => {
    await runStage(context(), stage());
    expect(readManifest(join(folder, 'tasks'))).toMatchObject({
      stage: 'tasks',
      seed: 1,
      config: { text: 'hello' },
      inputs: { 'corpus/a.jsonl': 'f00' },
      outputs: { 'out.txt': '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824' },
      counts: { written: 1 },
    });
    expect(stageOutputs({ folder }, 'tasks')).toHaveProperty(['tasks/out.txt']);
  });

  test('skips work that was done before, whatever the order of keys', async () => {
    const work = stage({ config: { a: 1, b: 2 } });
    await runStage(context(), work);
    const again = await runStage(context(), { ...work, config: { b: 2, a: 1 } });
    expect(again.skipped).toBe(true);
    expect(work.runs()).toBe(1);
  });

  test.each<[string, Partial<RunContext>, Partial<StageDefinition>]>([
    ['configuration', {}, { config: { text: 'other' } }],
    ['inputs', {}, { inputs: {} }],
    ['seed', { seed: 2 }, {}],
    ['wish (--fresh)', { fresh: true }, {}],
  ])('works again for another %s', async (_, run, change) => {
    const work = stage();
    await runStage(context(), work);
    const again = await runStage(context(run), { ...work, ...change });
    expect(again.skipped).toBe(false);
    expect(work.runs()).toBe(2);
  });

  test('leaves nothing behind when the work fails, and keeps what was there', async () => {
    const failing = stage({
      execute: (work) => {
        writeFileSync(join(work.folder, 'half'), '');
        return Promise.reject(new Error('disk on fire'));
      },
    });
    await expect(runStage(context(), failing)).rejects.toThrow('disk on fire');
    expect(readdirSync(folder)).toEqual([]);
    await runStage(context(), stage());
    await expect(runStage(context({ fresh: true }), failing)).rejects.toThrow('disk on fire');
    expect(readFileSync(join(folder, 'tasks/out.txt'), 'utf8')).toBe('hello');
  });

  test('a resumable stage finds its own unfinished work, and never that of other settings', async () => {
    const seen: boolean[] = [];
    const unfinished = stage({
      resumable: true,
      execute: (work) => {
        seen.push(existsSync(join(work.folder, 'checkpoint')));
        writeFileSync(join(work.folder, 'checkpoint'), '');
        return Promise.reject(new Error('killed'));
      },
    });
    await expect(runStage(context(), unfinished)).rejects.toThrow('killed');
    await expect(runStage(context(), unfinished)).rejects.toThrow('killed');
    const other = { ...unfinished, config: { text: 'other' } };
    await expect(runStage(context(), other)).rejects.toThrow('killed');
    expect(seen).toEqual([false, true, false]);
    await runStage(context(), stage({ resumable: true }));
    expect(readdirSync(folder)).toEqual(['tasks']);
    expect(readdirSync(join(folder, 'tasks')).toSorted()).toEqual(['manifest.json', 'out.txt']);
  });

  test('work that was killed when it was done is put in place, not done again', async () => {
    const work = stage({ resumable: true });
    await runStage(context(), work);
    // As a kill just before the rename leaves it.
    const { config, inputs, seed } = readManifest(join(folder, 'tasks'));
    writeFileSync(join(folder, 'tasks/key'), hashJson({ config, inputs, seed }));
    renameSync(join(folder, 'tasks'), join(folder, 'tasks.work'));
    await runStage(context(), work);
    expect(work.runs()).toBe(1);
    expect(readdirSync(folder)).toEqual(['tasks']);
    expect(readdirSync(join(folder, 'tasks')).toSorted()).toEqual(['manifest.json', 'out.txt']);
  });

  test('clears what a killed process left half written', async () => {
    mkdirSync(join(folder, 'corpus.tmp-0123456789ab'));
    await runStage(context(), stage());
    expect(readdirSync(folder)).toEqual(['tasks']);
  });

  test('clears what a killed stage left half written before it goes on', async () => {
    const execute = (work: { folder: string }) => {
      mkdirSync(join(work.folder, 'model.tmp-0123456789ab'));
      return Promise.reject(new Error('killed'));
    };
    await expect(runStage(context(), stage({ resumable: true, execute }))).rejects.toThrow(
      'killed',
    );
    expect(readdirSync(join(folder, 'tasks.work'))).toContain('model.tmp-0123456789ab');
    const { manifest } = await runStage(context(), stage({ resumable: true }));
    expect(Object.keys(manifest.outputs)).toEqual(['out.txt']);
    expect(readdirSync(join(folder, 'tasks')).toSorted()).toEqual(['manifest.json', 'out.txt']);
  });
});

describe('files of stages', () => {
  test('an unfinished stage is an error that names the command', () => {
    expect(() => stageFile({ folder }, 'corpus', 'x.jsonl')).toThrow(/masksearch corpus --run/);
  });

  test('a missing file of a finished stage is an error that names it', async () => {
    await runStage(context(), stage());
    expect(() => stageFile({ folder }, 'tasks', 'x.jsonl')).toThrow(/tasks\/x\.jsonl.*found none/);
  });
});

describe('hashes', () => {
  test('of JSON ignore the order of keys and nothing else', () => {
    expect(hashJson({ a: [1, { c: 2, d: 3 }] })).toBe(hashJson({ a: [1, { d: 3, c: 2 }] }));
    expect(hashJson({ a: [1, 2] })).not.toBe(hashJson({ a: [2, 1] }));
  });

  test('of a folder see names and contents', async () => {
    writeFileSync(join(folder, 'a'), '1');
    const before = await hashPath(folder);
    writeFileSync(join(folder, 'a'), '2');
    const changed = await hashPath(folder);
    rmSync(join(folder, 'a'));
    writeFileSync(join(folder, 'b'), '1');
    expect(new Set([before, changed, await hashPath(folder)]).size).toBe(3);
    await expect(hashPath(join(folder, 'none'))).rejects.toThrow('found none');
  });
});
