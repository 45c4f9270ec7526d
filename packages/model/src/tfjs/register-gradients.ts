// Registers tfjs-core's gradients, which its Node bundle leaves out, without the 294 MB union package.
import { createRequire, registerHooks } from 'node:module';
import { getGradient } from '@tensorflow/tfjs-core';

const CORE = '@tensorflow/tfjs-core';

/**
 * Makes `grads`, `variableGrads` and the like work on plain tfjs-core. Idempotent.
 *
 * The gradients are ES modules inside tfjs-core whose imports lack file extensions, so Node cannot
 * resolve them by itself; a resolve hook, in place only while they load, adds the extensions.
 * They load a second copy of tfjs-core's modules, which shares the engine and its registries
 * with the first through globals.
 */
export function registerTfjsGradients(): void {
  if (getGradient('MatMul') !== undefined) return;
  const require = createRequire(import.meta.url);
  const folder = new URL('.', `file://${require.resolve(CORE)}`).href;
  const hooks = registerHooks({
    resolve(specifier, context, nextResolve) {
      const inside = context.parentURL?.startsWith(folder) === true && specifier.startsWith('.');
      if (!inside || specifier.endsWith('.js')) return nextResolve(specifier, context);
      try {
        return nextResolve(`${specifier}.js`, context);
      } catch {
        return nextResolve(`${specifier}/index.js`, context);
      }
    },
  });
  try {
    require(`${CORE}/dist/register_all_gradients.js`);
  } finally {
    hooks.deregister();
  }
}
