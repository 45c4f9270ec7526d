// What goes wrong with a call, and whether another attempt may help.
import { MaskSearchError, UnavailableError } from '@masksearch/core';

export type FailureKind =
  | 'connect' // no connection, or it broke before an answer came
  | 'rate-limit' // 429
  | 'server' // 5xx, 408, 409, 425
  | 'timeout' // connect, first byte, idle or total
  | 'cut' // the answer ended before its end
  | 'malformed' // the answer is no chat completion
  | 'too-large' // the answer is larger than allowed
  | 'refused'; // any other 4xx: the same request would be refused again

const RETRYABLE: ReadonlySet<FailureKind> = new Set<FailureKind>([
  'connect',
  'rate-limit',
  'server',
  'timeout',
  'cut',
  'malformed',
]);

/** One attempt that failed. */
export class AttemptError extends Error {
  readonly kind: FailureKind;
  readonly status: number | undefined;
  /** Milliseconds that the endpoint asked to wait. */
  readonly retryAfterMs: number | undefined;

  constructor(
    kind: FailureKind,
    message: string,
    details: { status?: number; retryAfterMs?: number | undefined; cause?: unknown } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'AttemptError';
    this.kind = kind;
    this.status = details.status;
    this.retryAfterMs = details.retryAfterMs;
  }

  get isRetryable(): boolean {
    return RETRYABLE.has(this.kind);
  }
}

/** A call that failed for good. `data` holds the kind and status of the last attempt and how many there were. */
export class ChatError extends UnavailableError {
  constructor(endpoint: string, last: AttemptError, attempts: number) {
    const tried = attempts === 1 ? 'one attempt' : `${attempts} attempts`;
    super(
      `chat(${endpoint}): expected an answer, received none in ${tried}; last: ${last.message}`,
      { data: { kind: last.kind, status: last.status, attempts } },
    );
  }
}

/** The kind of failure of a call, or null for anything else. */
export function failureKindOf(error: unknown): FailureKind | null {
  if (!MaskSearchError.isInstance(error)) return null;
  const kind = error.data['kind'];
  return typeof kind === 'string' ? (kind as FailureKind) : null;
}
