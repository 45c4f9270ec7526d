// A failure with an HTTP status: what a handler throws to refuse a request.
import { type ErrorCode, MaskSearchError } from '@masksearch/core';

export class HttpError extends Error {
  readonly status: number;
  /** Seconds after which another try may go through; sent as `Retry-After`. */
  readonly retryAfterSeconds: number | undefined;

  constructor(status: number, message: string, retryAfterSeconds?: number) {
    super(message);
    this.name = 'HttpError';
    this.status = status;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** Statuses of our errors; the others are faults of the server. */
const STATUSES: Partial<Record<ErrorCode, number>> = {
  input: 400,
  config: 400,
  timeout: 504,
  unavailable: 502,
};

/** As which status an error is told; what nobody foresaw is 500 and does not show its message. */
export function toHttpError(error: unknown): HttpError {
  if (error instanceof HttpError) return error;
  if (!MaskSearchError.isInstance(error)) return new HttpError(500, 'internal error');
  if (error.code === 'cancelled') return new HttpError(503, 'the server is shutting down', 1);
  return new HttpError(STATUSES[error.code] ?? 500, error.message);
}
