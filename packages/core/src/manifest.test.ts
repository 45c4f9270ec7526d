import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MaskSearchError } from './errors.ts';
import { hashFile, readManifest, writeManifest, type Manifest } from './manifest.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'masksearch-manifest-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const manifest: Manifest = {
  version: 1,
  stage: 'tasks',
  config: { k: 4 },
  seed: 1,
  commit: null,
  inputs: {},
  outputs: {},
  counts: { tasks: 3 },
  seconds: 0.5,
  device: 'cpu',
};

describe('manifest', () => {
  it('reads back what was written', () => {
    writeManifest(folder, manifest);
    expect(readManifest(folder)).toEqual(manifest);
  });

  it('says what is wrong with an absent, torn or foreign file', () => {
    expect(() => readManifest(folder)).toThrow(/manifest of a finished stage, found none/);
    writeFileSync(join(folder, 'manifest.json'), '{"version":1,');
    expect(() => readManifest(folder)).toThrow(/expected JSON/);
    writeFileSync(join(folder, 'manifest.json'), JSON.stringify({ ...manifest, version: 2 }));
    expect(() => readManifest(folder)).toThrow(/manifest.json: version/);
  });

  it('hashes the bytes of a file', async () => {
    writeFileSync(join(folder, 'abc'), 'abc');
    // FIPS 180-2, appendix B.1
    expect(await hashFile(join(folder, 'abc'))).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
  });
});

describe('MaskSearchError.isInstance', () => {
  it('knows our errors and nothing else', () => {
    expect(MaskSearchError.isInstance(new MaskSearchError('input', 'x'))).toBe(true);
    expect(MaskSearchError.isInstance(new Error('x'))).toBe(false);
    expect(MaskSearchError.isInstance(null)).toBe(false);
  });
});
