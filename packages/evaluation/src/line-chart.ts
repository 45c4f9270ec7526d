// A line chart as inline SVG: axes with ticks and labels, faint raw lines and bold smoothed ones.
import { html, type Html } from './html.ts';
import { formatTick, niceTicks } from './ticks.ts';

export interface Series {
  readonly name: string;
  /** (x, y) in the order of x; points that are not finite are left out. */
  readonly points: readonly (readonly [number, number])[];
}

export interface LineChart {
  readonly title: string;
  readonly xLabel: string;
  /** At most six; each has a colour of its own. */
  readonly series: readonly Series[];
}

const WIDTH = 360;
const HEIGHT = 210;
const MARGIN = { top: 12, right: 14, bottom: 38, left: 48 };
/** Longer series are averaged in buckets, so that a report stays small. */
const MAX_POINTS = 400;
/** Longer series get a smoothed line over the faint raw one. */
const SMOOTH_FROM = 40;
/** The smoothed line averages over this share of the series to either side. */
const SMOOTH_SHARE = 0.025;

/** The chart as a figure with a caption and, for several series, a legend. */
export function lineChart({ title, xLabel, series }: LineChart): Html {
  const drawn = series.map(({ name, points }) => ({ name, points: thinned(finite(points)) }));
  const all = drawn.flatMap(({ points }) => points);
  if (all.length === 0) return html``;
  const x = axis({
    values: all.map(([value]) => value),
    from: MARGIN.left,
    to: WIDTH - MARGIN.right,
    count: 5,
    // Steps are whole numbers.
    leastStep: 1,
  });
  const y = axis({
    values: all.map(([, value]) => value),
    from: HEIGHT - MARGIN.bottom,
    to: MARGIN.top,
    count: 4,
    leastStep: 0,
  });
  const lines = drawn.map(({ points }, s) => {
    const smooth = points.length >= SMOOTH_FROM ? smoothed(points) : null;
    return [
      smooth ? path(points, x, y, `line faint s${s}`) : html``,
      path(smooth ?? points, x, y, `line s${s}`),
    ];
  });
  return html`<figure class="chart">
    <figcaption>${title}${last(drawn)}</figcaption>
    <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title} by ${xLabel}">
      ${yAxis(y)}${xAxis(x, xLabel)}${lines}
    </svg>
    ${drawn.length > 1 ? legend(drawn) : html``}
  </figure>`;
}

interface Axis {
  readonly ticks: readonly number[];
  readonly place: (value: number) => number;
}

interface AxisRequest {
  readonly values: readonly number[];
  /** Where the smallest and the largest value are drawn. */
  readonly from: number;
  readonly to: number;
  /** About as many ticks. */
  readonly count: number;
  readonly leastStep: number;
}

function axis({ values, from, to, count, leastStep }: AxisRequest): Axis {
  const low = values.reduce((a, b) => Math.min(a, b));
  const high = values.reduce((a, b) => Math.max(a, b));
  const ticks = niceTicks(low, high, count, leastStep);
  const start = Math.min(low, ticks[0] ?? low);
  const end = Math.max(high, ticks.at(-1) ?? high);
  const scale = (to - from) / (end - start || 1);
  return { ticks, place: (value) => from + (value - start) * scale };
}

function yAxis({ ticks, place }: Axis): Html[] {
  return ticks.map((tick) => {
    const y = round(place(tick));
    return html`<line
        class="grid"
        x1="${MARGIN.left}"
        x2="${WIDTH - MARGIN.right}"
        y1="${y}"
        y2="${y}"
      />
      <text class="tick" x="${MARGIN.left - 6}" y="${y + 3.5}" text-anchor="end"
        >${formatTick(tick)}</text
      >`;
  });
}

function xAxis({ ticks, place }: Axis, label: string): Html {
  const bottom = HEIGHT - MARGIN.bottom;
  const marks = ticks.map((tick) => {
    const x = round(place(tick));
    return html`<line class="axis" x1="${x}" x2="${x}" y1="${bottom}" y2="${bottom + 4}" />
      <text class="tick" x="${x}" y="${bottom + 16}" text-anchor="middle"
        >${formatTick(tick)}</text
      >`;
  });
  const middle = (MARGIN.left + WIDTH - MARGIN.right) / 2;
  return html`<line
      class="axis"
      x1="${MARGIN.left}"
      x2="${WIDTH - MARGIN.right}"
      y1="${bottom}"
      y2="${bottom}"
    />
    ${marks}<text class="label" x="${middle}" y="${HEIGHT - 6}" text-anchor="middle"
      >${label}</text
    >`;
}

function path(points: Series['points'], x: Axis, y: Axis, className: string): Html {
  const [only] = points;
  if (points.length === 1 && only) {
    return html`<circle
      class="${className} dot"
      cx="${round(x.place(only[0]))}"
      cy="${round(y.place(only[1]))}"
      r="2.5"
    />`;
  }
  const steps = points.map(
    ([px, py], p) => `${p === 0 ? 'M' : 'L'}${round(x.place(px))} ${round(y.place(py))}`,
  );
  return html`<path class="${className}" d="${steps.join('')}" />`;
}

function legend(series: readonly Series[]): Html {
  const entries = series.map(
    ({ name }, s) => html`<span><i class="swatch s${s}"></i>${name}</span>`,
  );
  return html`<div class="legend">${entries}</div>`;
}

/** The last value of a chart's only series, as part of its caption. */
function last(series: readonly Series[]): Html {
  const value = series.length === 1 ? series[0]?.points.at(-1)?.[1] : undefined;
  return value === undefined ? html`` : html`<b>${formatValue(value)}</b>`;
}

function formatValue(value: number): string {
  if (value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e6))
    return value.toExponential(2);
  return String(Number(value.toPrecision(3)));
}

function finite(points: Series['points']): Series['points'] {
  return points.filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y));
}

function thinned(points: Series['points']): Series['points'] {
  if (points.length <= MAX_POINTS) return points;
  const size = points.length / MAX_POINTS;
  return Array.from({ length: MAX_POINTS }, (_, b) => {
    const bucket = points.slice(Math.floor(b * size), Math.floor((b + 1) * size));
    const mean = (c: 0 | 1): number =>
      bucket.reduce((sum, point) => sum + point[c], 0) / bucket.length;
    return [mean(0), mean(1)] as const;
  });
}

/** Centred moving average: no lag, at the ends over what there is. */
function smoothed(points: Series['points']): Series['points'] {
  const reach = Math.max(1, Math.round(SMOOTH_SHARE * points.length));
  return points.map(([x], p) => {
    const near = Math.min(reach, p, points.length - 1 - p);
    const window = points.slice(p - near, p + near + 1);
    return [x, window.reduce((sum, point) => sum + point[1], 0) / window.length] as const;
  });
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
