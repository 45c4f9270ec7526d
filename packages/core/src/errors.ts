// The one error hierarchy: every failure carries a code, data fields and, where known, its cause.

const marker = Symbol.for('masksearch.error');

export type ErrorCode =
  | 'shape' // a tensor or array has the wrong shape or length
  | 'input' // a record, file or argument is malformed
  | 'config' // a configuration is unknown, out of range or contradictory
  | 'timeout' // a call outlived its time limit
  | 'cancelled' // an AbortSignal fired
  | 'empty-batch' // nothing is left to train on
  | 'unavailable' // a backend, device, library or file is missing
  | 'integrity' // stored data does not match its checksum or manifest
  | 'budget' // a cost cap was reached
  | 'native'; // the C++ side threw

/** Base of all errors this project throws. Messages read `where: expected X, received Y; hint.` */
export class MaskSearchError extends Error {
  readonly code: ErrorCode;
  readonly data: Readonly<Record<string, unknown>>;
  readonly [marker] = true;

  constructor(
    code: ErrorCode,
    message: string,
    options: { data?: Record<string, unknown>; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.data = options.data ?? {};
  }

  /** True for our errors, also across duplicate copies of this package. */
  static isInstance(error: unknown): error is MaskSearchError {
    return typeof error === 'object' && error !== null && marker in error;
  }
}

/** A tensor or array whose shape differs from what the operation needs. */
export class ShapeError extends MaskSearchError {
  constructor(message: string, data?: Record<string, unknown>) {
    super('shape', message, data ? { data } : {});
  }
}

/** A malformed record, file or argument. `data` names file and line where there are any. */
export class InputError extends MaskSearchError {
  constructor(message: string, options: { data?: Record<string, unknown>; cause?: unknown } = {}) {
    super('input', message, options);
  }
}

/** A configuration that is unknown, out of range or contradicts itself. */
export class ConfigError extends MaskSearchError {
  constructor(message: string, options: { data?: Record<string, unknown>; cause?: unknown } = {}) {
    super('config', message, options);
  }
}

/** A call that outlived its time limit. */
export class TimeoutError extends MaskSearchError {
  constructor(message: string, data?: Record<string, unknown>) {
    super('timeout', message, data ? { data } : {});
  }
}

/** A call whose AbortSignal fired. */
export class CancelledError extends MaskSearchError {
  constructor(message: string, cause?: unknown) {
    super('cancelled', message, { cause });
  }
}

/** A batch in which no token carries loss. */
export class EmptyBatchError extends MaskSearchError {
  constructor(message: string) {
    super('empty-batch', message);
  }
}

/** A backend, device, library or file that is missing; the message names the fix. */
export class UnavailableError extends MaskSearchError {
  constructor(message: string, options: { data?: Record<string, unknown>; cause?: unknown } = {}) {
    super('unavailable', message, options);
  }
}

/** A cost cap was reached; what was done so far is kept. */
export class BudgetError extends MaskSearchError {
  constructor(message: string, data?: Record<string, unknown>) {
    super('budget', message, data ? { data } : {});
  }
}

/** Stored data that does not match its checksum, manifest or format. */
export class IntegrityError extends MaskSearchError {
  constructor(message: string, options: { data?: Record<string, unknown>; cause?: unknown } = {}) {
    super('integrity', message, options);
  }
}
