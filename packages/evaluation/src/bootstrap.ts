// Bootstrap confidence intervals of means and of paired differences, seeded.
import { ConfigError, RandomStream, ShapeError } from '@masksearch/core';
import { z } from 'zod';

/** A mean with its 95 % bootstrap interval; n counts tasks. */
export const metricSchema = z.strictObject({
  mean: z.number(),
  low: z.number(),
  high: z.number(),
  n: z.int().min(0),
});
export type Metric = z.infer<typeof metricSchema>;

/** A difference of two means over the same tasks. */
export interface PairedDifference extends Metric {
  /** Share of resamples whose difference is not above zero: small means "b is better than a". */
  readonly shareNotAbove: number;
}

export interface BootstrapOptions {
  /** Names the random numbers, e.g. a run's seed. */
  readonly seed: number;
  /** At least 1,000. */
  readonly resamples?: number;
}

export const DEFAULT_RESAMPLES = 1000;
const MIN_RESAMPLES = 1000;
const LOW_QUANTILE = 0.025;
const HIGH_QUANTILE = 0.975;

/**
 * Means of several columns over one set of tasks, resampled together.
 *
 * @param columns One array of n numbers per name.
 * @returns Mean and 95 % percentile interval per name. With n = 0 all numbers are 0.
 * @throws {ShapeError} the columns differ in length.
 * @throws {ConfigError} fewer than 1,000 resamples.
 */
export function bootstrapMeans<Name extends string>(
  columns: Readonly<Record<Name, readonly number[]>>,
  options: BootstrapOptions,
): Record<Name, Metric> {
  const names = Object.keys(columns) as Name[];
  const n = columns[names[0] as Name]?.length ?? 0;
  const different = names.find((name) => columns[name].length !== n);
  if (different !== undefined) {
    throw new ShapeError(
      `bootstrapMeans: expected columns of one length, received ${n} and ${columns[different].length} (${different}).`,
    );
  }
  const values = names.map((name) => Float64Array.from(columns[name]));
  const resampled = resampledMeans(values, n, options);
  const metrics = names.map((name, c): [Name, Metric] => {
    const sorted = (resampled[c] as Float64Array).toSorted();
    return [name, { mean: meanOf(columns[name]), ...interval(sorted), n }];
  });
  return Object.fromEntries(metrics) as Record<Name, Metric>;
}

/**
 * How much larger the mean of `b` is than that of `a`, over the same tasks in the same order.
 * @throws {ShapeError} the two differ in length. @throws {ConfigError} fewer than 1,000 resamples.
 */
export function pairedBootstrap(
  a: readonly number[],
  b: readonly number[],
  options: BootstrapOptions,
): PairedDifference {
  if (a.length !== b.length) {
    throw new ShapeError(
      `pairedBootstrap: expected as many values in b as in a (${a.length}), received ${b.length}.`,
    );
  }
  const differences = b.map((value, t) => value - (a[t] as number));
  const [means] = resampledMeans([Float64Array.from(differences)], a.length, options);
  const sorted = (means as Float64Array).toSorted();
  const notAbove = sorted.filter((difference) => difference <= 0).length;
  return {
    mean: meanOf(differences),
    ...interval(sorted),
    n: a.length,
    shareNotAbove: notAbove / sorted.length,
  };
}

/** One array of resampled means per column; every column sees the same resampled tasks. */
function resampledMeans(
  columns: readonly Float64Array[],
  n: number,
  { seed, resamples = DEFAULT_RESAMPLES }: BootstrapOptions,
): Float64Array[] {
  if (!Number.isInteger(resamples) || resamples < MIN_RESAMPLES) {
    throw new ConfigError(
      `bootstrap: expected resamples to be an integer >= ${MIN_RESAMPLES}, received ${resamples}.`,
    );
  }
  const means = columns.map(() => new Float64Array(resamples));
  if (n === 0) return means;
  const stream = new RandomStream(seed, 'bootstrap', n);
  const sums = new Float64Array(columns.length);
  for (let r = 0; r < resamples; r++) {
    sums.fill(0);
    for (let draw = 0; draw < n; draw++) {
      const task = stream.below(n);
      for (const [c, column] of columns.entries()) {
        sums[c] = (sums[c] as number) + (column[task] as number);
      }
    }
    for (const [c, mean] of means.entries()) mean[r] = (sums[c] as number) / n;
  }
  return means;
}

function interval(sorted: Float64Array): { low: number; high: number } {
  return { low: quantile(sorted, LOW_QUANTILE), high: quantile(sorted, HIGH_QUANTILE) };
}

/** Linear interpolation between order statistics (NumPy's default). */
function quantile(sorted: Float64Array, q: number): number {
  const position = q * (sorted.length - 1);
  const below = Math.floor(position);
  const low = sorted[below] as number;
  const high = sorted[Math.min(below + 1, sorted.length - 1)] as number;
  return low + (position - below) * (high - low);
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}
