// Runs a function over many inputs, a bounded number at a time, and keeps their order.
import { CancelledError } from '@masksearch/core';

/**
 * Results in the order of `inputs`, whatever the order of completion. After the first failure no further input is
 * started, the signal fires, those under way are awaited, and the failure is thrown.
 *
 * @param concurrency Calls under way at most; ≥ 1.
 * @throws {CancelledError} the caller's signal fired, even if every call still ended well.
 */
export async function concurrentMap<T, R>(
  inputs: readonly T[],
  options: { readonly concurrency: number; readonly signal?: AbortSignal | undefined },
  call: (input: T, signal: AbortSignal) => Promise<R>,
): Promise<R[]> {
  const failed = new AbortController();
  const signal =
    options.signal === undefined ? failed.signal : AbortSignal.any([failed.signal, options.signal]);
  const results: R[] = [];
  const failures: unknown[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < inputs.length && failures.length === 0) {
      const i = next++;
      try {
        results[i] = await call(inputs[i] as T, signal);
      } catch (error) {
        failures.push(error);
        failed.abort(error);
      }
    }
  };
  const workers = Math.max(1, Math.min(options.concurrency, inputs.length));
  await Promise.all(Array.from({ length: workers }, work));
  if (failures.length > 0) throw failures[0];
  if (options.signal?.aborted) {
    throw new CancelledError('concurrentMap: cancelled.', options.signal.reason);
  }
  return results;
}
