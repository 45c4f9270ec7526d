import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findFrom, shippedConfig, withLastingPaths, withPathsFrom } from './paths.ts';

const ROOT = join(import.meta.dirname, '../../../..');
const BASE = join(ROOT, 'models/base');

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'paths-'));
  mkdirSync(join(folder, 'configs/mine'), { recursive: true });
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

describe('model folders of a configuration file', () => {
  const found = (from: string, file = join(folder, 'configs/a.yaml')): unknown =>
    withPathsFrom(dirname(file), { model: { from, width: 8 } })['model'];

  test('are looked for beside the file', () => {
    expect(found('mine')).toEqual({ from: join(folder, 'configs/mine'), width: 8 });
    expect(found('../absent')).toEqual({ from: join(folder, 'absent'), width: 8 });
    expect(found(folder)).toEqual({ from: folder, width: 8 });
  });

  test('that are not there are those that come with the package', () => {
    expect(found('models/base')).toEqual({ from: fromHere(BASE), width: 8 });
    expect(found('models/base', shippedConfig('quickstart'))).toMatchObject({
      from: fromHere(BASE),
    });
  });

  test('are short below the working folder, which is what manifests of runs in a repository name', () => {
    const inside = join(process.cwd(), 'src');
    expect(found('src', join(process.cwd(), 'a.yaml'))).toMatchObject({ from: 'src' });
    expect(findFrom('.', inside)).toBe('src');
  });

  test('are remembered so that any other folder finds them, null as null', () => {
    const values = { model: { from: 'src' }, tasks: { spanModel: null } };
    expect(withLastingPaths(values)).toEqual({
      model: { from: relative(ROOT, join(process.cwd(), 'src')) },
      tasks: { spanModel: null },
    });
    expect(withLastingPaths({ tasks: { spanModel: folder } })).toEqual({
      tasks: { spanModel: folder },
    });
    expect(withLastingPaths({ model: { from: BASE } })).toEqual({
      model: { from: 'models/base' },
    });
  });

  /** As a path below the working folder is given, or as an absolute one. */
  function fromHere(path: string): string {
    const short = relative(process.cwd(), path);
    return short.startsWith('..') ? path : short;
  }
});

describe('data that a configuration names', () => {
  const values = {
    corpus: { input: 'wiki.xml', heldoutShare: 0.1 },
    search: { record: 'tape', replay: null },
    synthesis: { evaluationFiles: ['../a.jsonl', '/b.jsonl'] },
  };

  test('is looked for from the file, never among what comes with the package', () => {
    expect(withPathsFrom(join(folder, 'configs'), values)).toEqual({
      corpus: { input: join(folder, 'configs/wiki.xml'), heldoutShare: 0.1 },
      search: { record: join(folder, 'configs/tape'), replay: null },
      synthesis: { evaluationFiles: [join(folder, 'a.jsonl'), '/b.jsonl'] },
    });
    const shipped = { corpus: { input: 'models/base' } };
    expect(withPathsFrom(folder, shipped)).toEqual({
      corpus: { input: join(folder, 'models/base') },
    });
  });

  test('is found again where it was found, and remembered for any folder', () => {
    const found = withPathsFrom('.', values);
    expect(found).toMatchObject({ corpus: { input: 'wiki.xml' } });
    expect(withPathsFrom('.', found)).toEqual(found);
    expect(withLastingPaths(found)).toMatchObject({
      corpus: { input: join(process.cwd(), 'wiki.xml') },
      search: { record: join(process.cwd(), 'tape'), replay: null },
      synthesis: { evaluationFiles: [join(process.cwd(), '../a.jsonl'), '/b.jsonl'] },
    });
  });

  test('that is no path is left to the schema', () => {
    const wrong = { corpus: { input: 7 }, search: 'tape', synthesis: { evaluationFiles: [null] } };
    expect(withPathsFrom(folder, wrong)).toEqual(wrong);
  });
});

test('an installed package brings its configurations and the base model', () => {
  const installed = join(folder, 'masksearch');
  for (const part of ['src', 'package.json']) {
    cpSync(join(ROOT, 'apps/cli', part), join(installed, part), { recursive: true });
  }
  cpSync(join(ROOT, 'runs/configs'), join(installed, 'runs/configs'), { recursive: true });
  mkdirSync(join(installed, 'models/base'), { recursive: true });
  symlinkSync(join(ROOT, 'apps/cli/node_modules'), join(installed, 'node_modules'));
  const show = (...args: string[]): string => {
    const command = [join(installed, 'src/main.ts'), ...args, '--print-config'];
    return spawnSync(process.execPath, command, { cwd: folder, encoding: 'utf8' }).stdout;
  };
  expect(show('quickstart')).toMatch(/from: masksearch\/models\/base\n/);
  expect(show('run', '--config', 'runs/configs/enwiki.yaml')).toMatch(/^name: enwiki\n/);
  expect(existsSync(join(folder, 'runs'))).toBe(false);
});
