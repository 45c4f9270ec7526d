// Time-outs and cancellation for a promise that may never settle.
import { CancelledError, TimeoutError } from './errors.ts';

/**
 * Runs `call` with a signal that aborts when `timeoutMs` have passed or the caller's signal fires,
 * and settles then even if the call ignores its signal.
 *
 * @throws {TimeoutError} after `timeoutMs` milliseconds.
 * @throws {CancelledError} when `signal` fires.
 */
export async function withDeadline<T>(
  where: string,
  options: { timeoutMs?: number | undefined; signal?: AbortSignal | undefined },
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const { timeoutMs, signal } = options;
  if (signal?.aborted) throw new CancelledError(`${where}: cancelled.`, signal.reason);
  let timer: NodeJS.Timeout | undefined;
  let onAbort: (() => void) | undefined;
  const interrupted = new Promise<never>((_, reject) => {
    if (timeoutMs !== undefined) {
      timer = setTimeout(() => {
        const error = new TimeoutError(
          `${where}: expected an answer within ${timeoutMs} ms, received none.`,
          { timeoutMs },
        );
        reject(error);
        controller.abort(error);
      }, timeoutMs);
    }
    onAbort = () => {
      const error = new CancelledError(`${where}: cancelled.`, signal?.reason);
      reject(error);
      controller.abort(error);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([call(controller.signal), interrupted]);
  } finally {
    clearTimeout(timer);
    if (onAbort) signal?.removeEventListener('abort', onAbort);
  }
}
