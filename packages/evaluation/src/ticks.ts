// Round numbers for axes.

/**
 * About `count` round numbers that span low..high: steps of 1, 2 or 5 times a power of ten, but no
 * smaller than `leastStep`.
 */
export function niceTicks(low: number, high: number, count: number, leastStep = 0): number[] {
  if (low === high) {
    const margin = Math.max(leastStep, Math.abs(low) * 0.5);
    return low === 0
      ? niceTicks(0, 1, count)
      : niceTicks(low - margin, high + margin, count, leastStep);
  }
  const rough = Math.max((high - low) / count, leastStep);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power;
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  const digits = Math.max(0, -Math.floor(Math.log10(step)) + 1);
  return Array.from({ length: last - first + 1 }, (_, t) =>
    Number(((first + t) * step).toFixed(Math.min(digits, 20))),
  );
}

/** A tick's text: `0.05`, `1.2k`, `3M`, `1e-6`. */
export function formatTick(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`;
  if (size >= 1e4) return `${Number((value / 1e3).toPrecision(3))}k`;
  if (size > 0 && size < 1e-3) return value.toExponential(0);
  return String(Number(value.toPrecision(6)));
}
