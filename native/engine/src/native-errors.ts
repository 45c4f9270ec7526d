// Errors of the C++ side as errors of this project.
import { InputError, MaskSearchError, UnavailableError } from '@masksearch/core';

/**
 * Awaits a call of the addon. Its errors become InputError, UnavailableError or MaskSearchError with code `native`,
 * made here so that their stack leads to the JavaScript that called.
 */
export async function callNative<T>(where: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw toMaskSearchError(where, error);
  }
}

/** As `callNative`, for calls that answer at once. */
export function callNativeSync<T>(where: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw toMaskSearchError(where, error);
  }
}

function toMaskSearchError(where: string, error: unknown): unknown {
  if (MaskSearchError.isInstance(error) || !(error instanceof Error)) return error;
  const message = `${where}: ${error.message}`;
  if ('code' in error && error.code === 'unavailable') {
    return new UnavailableError(message, { cause: error });
  }
  const isInput = error instanceof TypeError || ('code' in error && error.code === 'input');
  return isInput
    ? new InputError(message, { cause: error })
    : new MaskSearchError('native', message, { cause: error });
}
