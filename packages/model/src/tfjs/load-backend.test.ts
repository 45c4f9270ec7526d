import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import util from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { UnavailableError } from '@masksearch/core';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadTfjsBackend } from './load-backend.ts';

const root = mkdtempSync(join(tmpdir(), 'masksearch-tfjs-'));
const before = process.cwd();
// A working folder of its own for each test: Node remembers where it found a package.
beforeEach(() => process.chdir(mkdtempSync(join(root, 'project-'))));
afterEach(() => {
  if (tf.findBackendFactory('tensorflow') !== null) tf.removeBackend('tensorflow');
});
afterAll(() => {
  process.chdir(before);
  rmSync(root, { recursive: true });
});

function isInstalled(packageName: string): boolean {
  try {
    return createRequire(import.meta.url).resolve(packageName) !== '';
  } catch {
    return false;
  }
}

/** A package of that name in the working folder, as a user would install it. */
function install(packageName: string, source: string): void {
  const folder = join('node_modules', packageName);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: packageName }));
  writeFileSync(join(folder, 'index.js'), source);
}

/** What a TensorFlow package does when it is loaded: registers a backend that says what it runs on. */
function registering(facts: { isGPUPackage: boolean; isUsingGpuDevice: boolean }): string {
  const core = createRequire(import.meta.url).resolve('@tensorflow/tfjs-core');
  return `
    const tf = require(${JSON.stringify(core)});
    class Backend extends tf.KernelBackend { dispose() {} }
    tf.registerBackend('tensorflow', () => Object.assign(new Backend(), ${JSON.stringify(facts)}));`;
}

describe.skipIf(isInstalled('@tensorflow/tfjs-node'))(
  'loadTfjsBackend (skipped with a real tfjs-node, whose own tests run then)',
  () => {
    test('starts what comes with this repository', async () => {
      expect(await loadTfjsBackend('tfjs-cpu')).toBe('cpu');
      expect(await loadTfjsBackend('tfjs-wasm')).toBe('wasm');
    });

    test.each(['tfjs-node', 'tfjs-node-gpu'] as const)('says how to get %s', async (name) => {
      const loading = loadTfjsBackend(name);
      await expect(loading).rejects.toBeInstanceOf(UnavailableError);
      await expect(loading).rejects.toThrow(
        `${name}: expected the package @tensorflow/${name}, found none; install it with \`npm install @tensorflow/${name}@4.22.0\`; where`,
      );
    });

    test('passes on why an installed package does not load, with the script that builds it', async () => {
      install(
        '@tensorflow/tfjs-node',
        "throw new Error('tfjs_binding.node can not be found\\nmore')",
      );
      await expect(loadTfjsBackend('tfjs-node')).rejects.toThrow(
        /to load from .*tfjs-node.*, received: tfjs_binding\.node can not be found; .*scripts\/build-tfjs-node\.sh builds it\.$/,
      );
    });

    test('loads a package of the working folder, with the functions that Node 23 removed', async () => {
      install(
        '@tensorflow/tfjs-node',
        registering({ isGPUPackage: false, isUsingGpuDevice: false }),
      );
      expect(await loadTfjsBackend('tfjs-node')).toBe('tensorflow');
      expect(util).toMatchObject({
        isNullOrUndefined: expect.any(Function) as unknown,
        isArray: expect.any(Function) as unknown,
      });
    });

    test('does not let tfjs-node-gpu run on the CPU', async () => {
      install(
        '@tensorflow/tfjs-node-gpu',
        registering({ isGPUPackage: true, isUsingGpuDevice: false }),
      );
      await expect(loadTfjsBackend('tfjs-node-gpu')).rejects.toThrow(
        /expected a CUDA device, found none .*--backend native .* or tfjs-node for the CPU/,
      );
    });

    test('accepts tfjs-node-gpu on a device', async () => {
      install(
        '@tensorflow/tfjs-node-gpu',
        registering({ isGPUPackage: true, isUsingGpuDevice: true }),
      );
      expect(await loadTfjsBackend('tfjs-node-gpu')).toBe('tensorflow');
    });

    test('refuses one TensorFlow package where the other was loaded', async () => {
      install(
        '@tensorflow/tfjs-node',
        registering({ isGPUPackage: false, isUsingGpuDevice: false }),
      );
      expect(await loadTfjsBackend('tfjs-node')).toBe('tensorflow');
      install('@tensorflow/tfjs-node-gpu', '');
      await expect(loadTfjsBackend('tfjs-node-gpu')).rejects.toThrow(
        /expected to be the only TensorFlow package of this process, found tfjs-node loaded before/,
      );
    });
  },
);
