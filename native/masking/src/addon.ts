// Loads the compiled addon once, on first use.
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { UnavailableError } from '@masksearch/core';

/** The addon's functions take flat arguments; see cpp/addon.cpp for their order. */
export type Addon = Readonly<
  Record<AddonFunction, (...inputsThenOutputs: readonly AddonArgument[]) => number>
>;
type AddonArgument = Int32Array | Uint8Array | Float64Array | number;
const ADDON_FUNCTIONS = [
  'maskSpansCollapsed',
  'maskSpansPerToken',
  'authorMask',
  'shiftedLabels',
  'shiftedPolicyLabels',
  'maskRandomTokens',
  'maskWholeWords',
  'maskGeometricSpans',
  'packFirstFitDecreasing',
] as const;
type AddonFunction = (typeof ADDON_FUNCTIONS)[number];

const BUILD_COMMAND = 'pnpm --filter @masksearch/native-masking run build:native';
// The same folder from src/ and from dist/.
const ADDON_URL = new URL('../build/Release/masking.node', import.meta.url);

let loaded: Addon | undefined;

/** @throws {UnavailableError} the addon was not built, or does not load; names the build command. */
export function loadAddon(): Addon {
  loaded ??= loadAddonFrom(fileURLToPath(ADDON_URL));
  return loaded;
}

/** Loads the addon file at `path`. @throws {UnavailableError} as `loadAddon`. */
export function loadAddonFrom(path: string): Addon {
  let module: unknown;
  try {
    module = createRequire(import.meta.url)(path);
  } catch (cause) {
    throw unavailable(`received an error when loading ${path}`, cause);
  }
  if (!isAddon(module)) throw unavailable(`received an older build at ${path}`);
  return module;
}

function isAddon(module: unknown): module is Addon {
  return (
    typeof module === 'object' &&
    module !== null &&
    ADDON_FUNCTIONS.every((name) => typeof Reflect.get(module, name) === 'function')
  );
}

function unavailable(received: string, cause?: unknown): UnavailableError {
  return new UnavailableError(
    `native-masking: expected the compiled addon, ${received}; build it with \`${BUILD_COMMAND}\`.`,
    cause === undefined ? {} : { cause },
  );
}
