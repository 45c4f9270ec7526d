// Which tfjs backend runs. tfjs has one active backend at a time for the whole process.
import * as tf from '@tensorflow/tfjs-core';
import { UnavailableError } from '@masksearch/core';

/**
 * Starts a registered backend; `cpu` is registered here.
 * @throws {UnavailableError} It is not registered or does not start.
 */
export async function startBackend(name: string): Promise<void> {
  if (name === 'cpu') await registerCpuBackend();
  const started = tf.findBackendFactory(name) !== null && (await tf.setBackend(name));
  if (!started) {
    throw new UnavailableError(
      `tfjs: expected backend ${name} to be registered and to start; import the package that registers it first.`,
    );
  }
}

/**
 * Makes a started backend the active one, at once: `setBackend` waits only for those that have yet
 * to start. To be called in the same tick as the ops that need it, as others may switch it.
 */
export function activateBackend(name: string): void {
  if (tf.getBackend() !== name) void tf.setBackend(name);
}

/** The backend prints an advertisement when first used, unless tfjs is in production mode. */
async function registerCpuBackend(): Promise<void> {
  if (tf.findBackendFactory('cpu') !== null) return;
  await import('@tensorflow/tfjs-backend-cpu');
  const production = tf.env().getBool('PROD');
  tf.env().set('PROD', true);
  await tf.setBackend('cpu');
  tf.scalar(0).dispose();
  tf.env().set('PROD', production);
}
