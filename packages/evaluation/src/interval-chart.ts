// Means with their intervals, one line per group and one mark per stage, as inline SVG.
import type { Metric } from './bootstrap.ts';
import { html, type Html } from './html.ts';

export interface IntervalRow {
  readonly label: string;
  /** One metric per stage; null where a stage has none. */
  readonly metrics: readonly (Metric | null)[];
}

const WIDTH = 1080;
const LEFT = 120;
const RIGHT = 20;
const LINE_HEIGHT = 13;
const ROW_GAP = 16;
const AXIS_HEIGHT = 34;

/** A chart over 0..1; `stages` name the marks in the order of `metrics`. */
export function intervalChart(stages: readonly string[], rows: readonly IntervalRow[]): Html {
  const rowHeight = stages.length * LINE_HEIGHT + ROW_GAP;
  const height = rows.length * rowHeight + AXIS_HEIGHT;
  const x = (value: number): number =>
    Math.round((LEFT + value * (WIDTH - LEFT - RIGHT)) * 10) / 10;
  const bottom = rows.length * rowHeight;
  const grid = [0, 0.25, 0.5, 0.75, 1].map(
    (tick) =>
      html`<line class="grid" x1="${x(tick)}" x2="${x(tick)}" y1="0" y2="${bottom}" />
        <text class="tick" x="${x(tick)}" y="${bottom + 18}" text-anchor="middle">${tick}</text>`,
  );
  const marks = rows.map(({ label, metrics }, r) => {
    const top = r * rowHeight + ROW_GAP / 2;
    return html`<text
        class="name"
        x="${LEFT - 14}"
        y="${top + (stages.length * LINE_HEIGHT) / 2 + 4}"
        text-anchor="end"
        >${label}</text
      >
      ${metrics.map((metric, s) => (metric ? mark(metric, s, top + (s + 0.5) * LINE_HEIGHT, x) : html``))}`;
  });
  const legend = stages.map((stage, s) => html`<span><i class="swatch s${s}"></i>${stage}</span>`);
  return html`<figure class="wide">
    <svg
      viewBox="0 0 ${WIDTH} ${height}"
      role="img"
      aria-label="Mean outcome with 95 % intervals by group"
    >
      ${grid}${marks}
    </svg>
    <div class="legend">${legend}</div>
  </figure>`;
}

function mark(metric: Metric, s: number, y: number, x: (value: number) => number): Html {
  return html`<line
      class="interval s${s}"
      x1="${x(metric.low)}"
      x2="${x(metric.high)}"
      y1="${y}"
      y2="${y}"
    />
    <circle class="mean s${s}" cx="${x(metric.mean)}" cy="${y}" r="4.5" />`;
}
