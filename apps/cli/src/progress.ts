// One line of progress on standard error: rewritten in place on a terminal, a line every ten seconds elsewhere.

/** What a stage reports while it works. */
export interface ProgressSink {
  /**
   * @param done   Units finished so far.
   * @param total  Units altogether; undefined when unknown.
   * @param note   A few figures to show beside it, e.g. `loss 0.42`.
   */
  update(done: number, total: number | undefined, note?: string): void;
}

/** The part of a terminal or log that a progress line needs. */
export interface ProgressStream {
  readonly isTTY: boolean;
  readonly columns: number;
  write(text: string): boolean;
}

export interface ProgressOptions {
  readonly stage: string;
  /** Plural noun: steps, documents, episodes, … */
  readonly unit: string;
  /** Default: standard error. */
  readonly stream?: ProgressStream;
  /** Milliseconds now; replaced in tests. */
  readonly now?: () => number;
}

const TERMINAL_INTERVAL_MS = 100;
const LOG_INTERVAL_MS = 10_000;

export class Progress implements ProgressSink {
  readonly #options: ProgressOptions;
  readonly #stream: ProgressStream;
  readonly #now: () => number;
  readonly #started: number;
  /** Units that were done before this process: a resumed stage does not start at 0. */
  #doneBefore: number | undefined;
  #lastShown: number;
  #open = false;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#stream = options.stream ?? process.stderr;
    this.#now = options.now ?? Date.now;
    this.#started = this.#now();
    // A log gets its first line after one interval: short stages stay silent.
    this.#lastShown = this.#stream.isTTY ? -Infinity : this.#started;
  }

  update(done: number, total: number | undefined, note = ''): void {
    const now = this.#now();
    // The first report comes after the first unit, or at the very start.
    this.#doneBefore ??= Math.max(0, done - 1);
    const interval = this.#stream.isTTY ? TERMINAL_INTERVAL_MS : LOG_INTERVAL_MS;
    if (now - this.#lastShown < interval) return;
    this.#lastShown = now;
    const seconds = (now - this.#started) / 1000;
    const doneHere = done - this.#doneBefore;
    const line = progressLine({ ...this.#options, done, doneHere, total, note, seconds });
    if (this.#stream.isTTY) {
      const fitting = line.slice(0, Math.max(20, (this.#stream.columns || 80) - 1));
      this.#stream.write(`\r\x1b[K${fitting}`);
      this.#open = true;
    } else {
      this.#stream.write(`${line}\n`);
    }
  }

  /** Removes the line from a terminal. */
  close(): void {
    if (this.#open) this.#stream.write('\r\x1b[K');
    this.#open = false;
  }
}

/** `sft  120/600 steps  3.4/s  2m 20s left  loss 0.42` */
export function progressLine(state: {
  stage: string;
  unit: string;
  done: number;
  /** Of them, by this process; what the rate is computed from. */
  doneHere: number;
  total: number | undefined;
  seconds: number;
  note: string;
}): string {
  const { stage, unit, done, doneHere, total, seconds, note } = state;
  const rate = seconds > 0 ? doneHere / seconds : 0;
  const parts = [stage, total === undefined ? `${done} ${unit}` : `${done}/${total} ${unit}`];
  if (rate > 0) parts.push(rate >= 10 ? `${rate.toFixed(0)}/s` : `${rate.toPrecision(2)}/s`);
  if (rate > 0 && total !== undefined && total > done) {
    parts.push(`${formatDuration((total - done) / rate)} left`);
  }
  if (note !== '') parts.push(note);
  return parts.join('  ');
}

/** `4s`, `2m 20s`, `3h 05m`. */
export function formatDuration(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole}s`;
  const pad = (value: number): string => String(value).padStart(2, '0');
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${pad(whole % 60)}s`;
  return `${Math.floor(whole / 3600)}h ${pad(Math.floor((whole % 3600) / 60))}m`;
}
