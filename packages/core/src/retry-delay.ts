// How long to wait before another attempt: what the endpoint asks for, or exponential back-off with full jitter.

/**
 * Milliseconds of a Retry-After header (seconds or an HTTP date); undefined if absent or unreadable.
 * @param nowMs The present, for dates.
 */
export function parseRetryAfter(header: string | null, nowMs: number): number | undefined {
  if (header === null) return undefined;
  const text = header.trim();
  if (/^\d+(\.\d+)?$/.test(text)) return Math.ceil(Number(text) * 1000);
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs);
}

/**
 * Milliseconds before attempt number `attempt` + 1: at least what the endpoint asked for, plus up to the back-off bound,
 * so that callers who were refused together do not return together.
 * @param attempt From 1: the attempt that failed.
 * @param uniform In [0, 1).
 */
export function retryDelayMs(
  attempt: number,
  uniform: number,
  limits: { readonly baseMs: number; readonly maxMs: number },
  retryAfterMs = 0,
): number {
  const bound = Math.min(limits.maxMs, limits.baseMs * 2 ** (attempt - 1));
  return retryAfterMs + Math.floor(uniform * bound);
}
