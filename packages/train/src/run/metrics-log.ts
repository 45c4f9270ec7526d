// The metrics file: one JSON object a step, cut back to the checkpoint when a run resumes.
import {
  closeSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { InputError, IntegrityError } from '@masksearch/core';

/** One step's metrics by name; see METRICS.md. Wall-clock values are under `timing_s/` and `perf/`. */
export type MetricsRow = Readonly<Record<string, number | string>>;

/** Appends rows to a JSONL file from a known byte on, so that a resumed run leaves no row twice. */
export class MetricsLog {
  readonly #descriptor: number;
  #bytes: number;

  /**
   * @param path  Created when absent.
   * @param bytes Where the last checkpoint ended; 0 for a new run. Whatever follows is cut off.
   * @throws {IntegrityError} the file is shorter than that.
   */
  constructor(path: string, bytes: number) {
    mkdirSync(dirname(path), { recursive: true });
    this.#descriptor = openSync(path, 'a+');
    const size = fstatSync(this.#descriptor).size;
    if (size < bytes) {
      closeSync(this.#descriptor);
      throw new IntegrityError(
        `${path}: expected at least ${bytes} bytes, as at the checkpoint, received ${size}; restore the file or start a new run.`,
      );
    }
    ftruncateSync(this.#descriptor, bytes);
    this.#bytes = bytes;
  }

  /** @throws {InputError} a value is not finite: JSON has no NaN, and a NaN means something broke. */
  write(row: MetricsRow): void {
    for (const [name, value] of Object.entries(row)) {
      if (typeof value === 'number' && !Number.isFinite(value)) {
        throw new InputError(`metrics: expected a finite value for ${name}, received ${value}.`);
      }
    }
    const line = Buffer.from(`${JSON.stringify(row)}\n`, 'utf8');
    writeSync(this.#descriptor, line);
    this.#bytes += line.length;
  }

  /** Forces all rows to disk and returns the length of the file in bytes. */
  sync(): number {
    fsyncSync(this.#descriptor);
    return this.#bytes;
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}
