// Small float64 statistics shared by updates and metrics.

export function sumOf(values: Iterable<number>): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}

/** 0 for no values, so that a metrics row stays finite. */
export function meanOf(values: readonly number[]): number {
  return values.length === 0 ? 0 : sumOf(values) / values.length;
}

/** `name/mean`, `name/max` and `name/min`; nothing for no values. */
export function summarize(name: string, values: readonly number[]): Record<string, number> {
  if (values.length === 0) return {};
  return {
    [`${name}/mean`]: meanOf(values),
    [`${name}/max`]: values.reduce((a, b) => Math.max(a, b)),
    [`${name}/min`]: values.reduce((a, b) => Math.min(a, b)),
  };
}
