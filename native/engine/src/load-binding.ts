// Loads the compiled addon once, on first use.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { UnavailableError } from '@masksearch/core';
import { bindingNames, type Binding } from './binding.ts';

const BUILD_COMMAND = 'pnpm --filter @masksearch/native-engine run build:native';

// The same place from src/ and from dist/.
const ADDON_PATH = fileURLToPath(new URL('../build/Release/engine.node', import.meta.url));

const CUDA_PLUGIN_PATH = fileURLToPath(
  new URL('../build/cuda/device/libmasksearch_cuda.so', import.meta.url),
);

/** Where `build:cuda` puts the CUDA plug-in, or `MASKSEARCH_CUDA_PLUGIN` where that is set. */
export function cudaPluginPath(): string {
  return process.env['MASKSEARCH_CUDA_PLUGIN'] ?? CUDA_PLUGIN_PATH;
}

let loaded: Binding | undefined;

/**
 * The compiled addon.
 * @throws {UnavailableError} It is not built, does not load, or is of another version; the message
 *   names the command that builds it.
 */
export function loadBinding(): Binding {
  loaded ??= loadBindingFrom(ADDON_PATH);
  return loaded;
}

/** The addon at `path`. @throws {UnavailableError} as `loadBinding`. */
export function loadBindingFrom(path: string): Binding {
  if (!existsSync(path)) throw unavailable(`found nothing at ${path}`);
  let addon: unknown;
  try {
    addon = createRequire(import.meta.url)(path);
  } catch (cause) {
    throw unavailable(`could not load ${path}`, cause);
  }
  if (!isBinding(addon)) throw unavailable(`found one of another version at ${path}`);
  return addon;
}

/** Names that are declared and not exported, or exported and not declared. */
export function bindingDifferences(addon: object): { missing: string[]; undeclared: string[] } {
  const declared = Object.keys(bindingNames);
  const exported = Object.keys(addon);
  return {
    missing: declared.filter((name) => typeof Reflect.get(addon, name) !== 'function'),
    undeclared: exported.filter((name) => !declared.includes(name)),
  };
}

function isBinding(addon: unknown): addon is Binding {
  return (
    typeof addon === 'object' && addon !== null && bindingDifferences(addon).missing.length === 0
  );
}

function unavailable(received: string, cause?: unknown): UnavailableError {
  return new UnavailableError(
    `native engine: expected the compiled addon, ${received}; build it with \`${BUILD_COMMAND}\`.`,
    cause === undefined ? {} : { cause },
  );
}
