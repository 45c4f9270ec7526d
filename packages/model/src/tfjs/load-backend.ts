// Loads a tfjs backend by name: what is missing is an error that says how to get it, and nothing falls back to another.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import util from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { UnavailableError } from '@masksearch/core';
import { startBackend } from './backend.ts';
import type { TfjsBackend } from './backend-names.ts';

interface Source {
  /** What registers it; null if it comes with this package. */
  readonly packageName: string | null;
  /** Its name inside tfjs. */
  readonly registered: string;
}

const SOURCES: Readonly<Record<TfjsBackend, Source>> = {
  'tfjs-cpu': { packageName: null, registered: 'cpu' },
  'tfjs-wasm': { packageName: '@tensorflow/tfjs-backend-wasm', registered: 'wasm' },
  'tfjs-node': { packageName: '@tensorflow/tfjs-node', registered: 'tensorflow' },
  'tfjs-node-gpu': { packageName: '@tensorflow/tfjs-node-gpu', registered: 'tensorflow' },
};

// The one that shares kernels with our tfjs-core.
const VERSION = '4.22.0';

/**
 * Makes a backend ready for `createTfjsModel`.
 * @returns its name inside tfjs.
 * @throws {UnavailableError} its package is not installed or does not load, or `tfjs-node-gpu` finds no CUDA device.
 */
export async function loadTfjsBackend(name: TfjsBackend): Promise<string> {
  const { packageName, registered } = SOURCES[name];
  if (packageName !== null) loadPackage(name, packageName);
  await startBackend(registered);
  if (registered === 'tensorflow') checkDevice(name);
  return registered;
}

function loadPackage(name: TfjsBackend, packageName: string): void {
  const found = resolvePackage(packageName);
  if (found === null) {
    throw new UnavailableError(
      `${name}: expected the package ${packageName}, found none; install it with \`npm install ${packageName}@${VERSION}\`${hint(name)}.`,
    );
  }
  restoreUtil();
  try {
    createRequire(import.meta.url)(found);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    throw new UnavailableError(
      `${name}: expected ${packageName} to load from ${found}, received: ${reason}${hint(name)}.`,
      { cause },
    );
  }
}

function hint(name: TfjsBackend): string {
  return name.startsWith('tfjs-node')
    ? '; where its own install cannot download TensorFlow, scripts/build-tfjs-node.sh builds it'
    : '';
}

/** Looks from this package, from the working folder, and in NODE_PATH: users install these packages in their project. */
function resolvePackage(packageName: string): string | null {
  for (const from of [import.meta.url, join(process.cwd(), 'package.json')]) {
    try {
      return createRequire(from).resolve(packageName);
    } catch {
      // Looked for in the next place; none left is the caller's error.
    }
  }
  return null;
}

/** tfjs-node 4.22 uses two functions that Node 23 took out of `util`. @see tensorflow/tfjs#8609 */
function restoreUtil(): void {
  const shared: { isNullOrUndefined?: unknown; isArray?: unknown } = util;
  shared.isNullOrUndefined ??= (value: unknown) => value === null || value === undefined;
  shared.isArray ??= Array.isArray;
}

/** tfjs-node-gpu runs on the CPU without a word when it finds no device; and both packages register the same name. */
function checkDevice(name: TfjsBackend): void {
  const backend: unknown = tf.findBackend('tensorflow');
  const facts = { isGPUPackage: false, isUsingGpuDevice: false, ...(backend as object) };
  const wanted = name === 'tfjs-node-gpu';
  if (facts.isGPUPackage !== wanted) {
    throw new UnavailableError(
      `${name}: expected to be the only TensorFlow package of this process, found ${wanted ? 'tfjs-node' : 'tfjs-node-gpu'} loaded before it; use one of them.`,
    );
  }
  if (wanted && !facts.isUsingGpuDevice) {
    throw new UnavailableError(
      'tfjs-node-gpu: expected a CUDA device, found none that its TensorFlow can use (its own TensorFlow 2.9 needs CUDA 11.2 and cuDNN 8.1); use --backend native for newer CUDA, or tfjs-node for the CPU.',
    );
  }
}
