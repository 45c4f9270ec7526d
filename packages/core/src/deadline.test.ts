import { describe, expect, it, vi } from 'vitest';
import { withDeadline } from './deadline.ts';
import { CancelledError, TimeoutError } from './errors.ts';

const never = (): Promise<never> => new Promise(() => undefined);

describe('withDeadline', () => {
  it('returns what the call returns', async () => {
    await expect(withDeadline('call', { timeoutMs: 1000 }, async () => 5)).resolves.toBe(5);
  });

  it('gives up on a call that ignores its signal, after the time-out, and aborts it', async () => {
    vi.useFakeTimers();
    try {
      let seen: AbortSignal | undefined;
      const result = withDeadline('search', { timeoutMs: 50 }, (signal) => {
        seen = signal;
        return never();
      });
      const check = expect(result).rejects.toBeInstanceOf(TimeoutError);
      await vi.advanceTimersByTimeAsync(50);
      await check;
      expect(seen?.aborted).toBe(true);
    } finally {
      vi.useRealTimers();
    }
  });

  it('stops when the caller cancels, before or during the call', async () => {
    const controller = new AbortController();
    const pending = withDeadline('search', { signal: controller.signal }, never);
    controller.abort();
    await expect(pending).rejects.toBeInstanceOf(CancelledError);
    const late = withDeadline('search', { signal: controller.signal }, never);
    await expect(late).rejects.toBeInstanceOf(CancelledError);
  });
});
