// The tables of the HTML report: before and after per group, and where the time went.
import type { Metric } from './bootstrap.ts';
import {
  byReadingOrder,
  groupsOf,
  type EvaluationRecord,
  type GroupResult,
} from './evaluation-record.ts';
import { html, type Html } from './html.ts';
import { intervalChart } from './interval-chart.ts';

type Evaluations = Readonly<Record<string, EvaluationRecord>>;

const METRICS = ['exact', 'recall', 'outcome'] as const;

/** What the groups of the generated world are called in a report. */
const GROUP_NAMES: Readonly<Record<string, string>> = {
  k1: '1 mask',
  k2: '2 masks',
  k3: '3 masks',
  k4: '4 masks',
  hop1: '1 hop',
  hop2: '2 hops',
  comparison: 'comparison',
  hop3: '3 hops',
  list: 'list',
};

/** Interval chart and table of all groups, a block of columns for each stage. */
export function evaluationSection(evaluations: Evaluations): Html {
  const stages = Object.keys(evaluations);
  const tables = Object.values(evaluations).map((record) => new Map(groupsOf(record)));
  const groups = [...new Set(tables.flatMap((table) => [...table.keys()]))].sort(byReadingOrder);
  const chart = intervalChart(
    stages,
    groups.map((group) => ({
      label: groupName(group),
      metrics: tables.map((table) => table.get(group)?.outcome ?? null),
    })),
  );
  const rows = groups.map(
    (group) =>
      html`<tr>
        <td>${groupName(group)}</td>
        ${tables.map((table) => groupCells(table.get(group)))}
      </tr>`,
  );
  const records = Object.values(evaluations);
  return html`${chart}
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th></th>
            ${stages.map((stage, s) => html`<th class="first" colspan="4" style="text-align:center"><i class="swatch s${s}"></i>${stage}</th>`)}
          </tr>
          <tr>
            <th>group</th>
            ${stages.map(
              () =>
                html`<th class="first">exact</th>
                  <th>recall</th>
                  <th>outcome</th>
                  <th>searches</th>`,
            )}
          </tr>
        </thead>
        <tbody>
          ${rows}
          ${overallRow(
            'overall',
            records.map((record) => record.outcome),
          )}
          ${
            records.some((record) => record.randomRetrieval)
              ? overallRow(
                  'random passages',
                  records.map((record) => record.randomRetrieval?.outcome),
                )
              : html``
          }
        </tbody>
      </table>
    </div>`;
}

export function groupName(group: string): string {
  return GROUP_NAMES[group] ?? group;
}

function groupCells(result: GroupResult | undefined): Html {
  if (!result)
    return html`<td class="first"></td>
      <td></td>
      <td></td>
      <td></td>`;
  const cells = METRICS.map((metric, m) => metricCell(result[metric], m === 0));
  return html`${cells}
    <td>${result.searches.mean.toFixed(2)}</td>`;
}

function overallRow(label: string, metrics: readonly (Metric | undefined)[]): Html {
  const cells = metrics.map((metric) => {
    const value = metric ? metricCell(metric, false) : html`<td></td>`;
    return html`<td class="first"></td>
      <td></td>
      ${value}
      <td></td>`;
  });
  return html`<tr class="total">
    <td>${label}</td>
    ${cells}
  </tr>`;
}

function metricCell(metric: Metric, isFirst: boolean): Html {
  return html`<td${isFirst ? html` class="first"` : ''}>${metric.mean.toFixed(2)}<small>${intervalText(metric)}</small></td>`;
}

/** `0.57 – 0.67`. */
export function intervalText({ low, high }: Metric): string {
  return `${low.toFixed(2)} – ${high.toFixed(2)}`;
}

/** Seconds per stage as bars. */
export function timeSection(seconds: Readonly<Record<string, number>>): Html {
  const stages = Object.entries(seconds).filter(([stage]) => stage !== 'total');
  const longest = Math.max(...stages.map(([, value]) => value), Number.MIN_VALUE);
  const bars = stages.map(
    ([stage, value]) =>
      html`<span>${stage}</span>
        <span class="bar" style="width:${((100 * value) / longest).toFixed(1)}%"></span>
        <span class="seconds">${durationText(value)}</span>`,
  );
  return html`<div class="card bars">${bars}</div>`;
}

/** `8.3 s`, `2 min 05 s`, `1 h 02 min`. */
export function durationText(seconds: number): string {
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  const pad = (value: number): string => String(value).padStart(2, '0');
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${pad(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${pad(Math.floor((whole % 3600) / 60))} min`;
}
