// The HTML report of a run: one self-contained page, readable in a browser without a network.
import { curvesOf, type Curve, type MetricRow } from './curves.ts';
import type { EvaluationRecord, RunReport } from './evaluation-record.ts';
import { html, raw, type Html } from './html.ts';
import { lineChart } from './line-chart.ts';
import { REPORT_STYLE } from './report-style.ts';
import { durationText, evaluationSection, intervalText, timeSection } from './report-tables.ts';
import { trajectoryCards, type ReportTrajectory } from './report-trajectories.ts';

export interface ReportInput {
  readonly title: string;
  /** A sentence or two on what was done. */
  readonly summary?: string;
  readonly report: RunReport;
  /** Rows of each training stage's metrics, by stage; x is their `step`. */
  readonly metrics: Readonly<Record<string, readonly MetricRow[]>>;
  readonly trajectories: readonly ReportTrajectory[];
  /** What a reader needs to repeat the run: seed, commit, device, sizes. */
  readonly facts?: Readonly<Record<string, string | number>>;
}

/** The page as text. Everything that comes from data is escaped. */
export function renderReport(input: ReportInput): string {
  const { title, summary, report, metrics, trajectories, facts } = input;
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        <style>
          ${raw(REPORT_STYLE)}
        </style>
      </head>
      <body>
        <main>
          <header>
            <h1>${title}</h1>
            ${summary === undefined ? '' : html`<p class="muted">${summary}</p>`}
            ${factList(facts ?? {})} ${headline(report)}
          </header>
          ${section('Before and after', evaluationBody(report))}
          ${Object.entries(metrics).map(([stage, rows]) => curveSection(stage, rows))}
          ${section('Time per stage', Object.keys(report.seconds).length > 0 ? timeSection(report.seconds) : null)}
          ${section('Example episodes', trajectories.length > 0 ? html`${trajectoryCards(trajectories)}` : null)}
          <footer>
            Intervals are 95 % percentile bootstrap over tasks. Exact and recall are means over
            slots; the outcome is 1 only if every slot is right.
          </footer>
        </main>
      </body>
    </html> `;
  return page.markup;
}

function section(title: string, body: Html | null): Html {
  return body
    ? html`<section>
        <h2>${title}</h2>
        ${body}
      </section>`
    : html``;
}

function evaluationBody({ evaluation }: RunReport): Html | null {
  return Object.keys(evaluation).length > 0 ? evaluationSection(evaluation) : null;
}

function factList(facts: Readonly<Record<string, string | number>>): Html {
  const entries = Object.entries(facts).map(
    ([name, value]) =>
      html`<div>
        <dt>${name}</dt>
        <dd>${value}</dd>
      </div>`,
  );
  return entries.length > 0 ? html`<dl class="facts">${entries}</dl>` : html``;
}

/** The few numbers that matter most. */
function headline({ evaluation, seconds }: RunReport): Html {
  const stages = Object.entries(evaluation);
  const cards = stages.map(([stage, { outcome }], s) => {
    const before = stages[s - 1]?.[1].outcome.mean;
    const change = before === undefined ? html`` : changeText(outcome.mean - before);
    return card(
      `Outcome, ${stage}`,
      outcome.mean.toFixed(2),
      html`${intervalText(outcome)}${change}`,
    );
  });
  const control = lastControl(stages.map(([, record]) => record));
  if (control) {
    cards.push(
      card('With random passages', control.mean.toFixed(2), html`${intervalText(control)}`),
    );
  }
  const { total } = seconds;
  if (total !== undefined) cards.push(card('Total time', durationText(total), html`all stages`));
  return html`<div class="headline">${cards}</div>`;
}

function lastControl(
  records: readonly EvaluationRecord[],
): EvaluationRecord['outcome'] | undefined {
  return records.findLast((record) => record.randomRetrieval)?.randomRetrieval?.outcome;
}

function changeText(change: number): Html {
  const size = Math.abs(change).toFixed(2);
  if (Number(size) === 0) return html` ±0.00`;
  return change > 0
    ? html` <span class="up">+${size}</span>`
    : html` <span class="down">−${size}</span>`;
}

function card(label: string, value: string, detail: Html): Html {
  return html`<div class="card">
    <div class="label">${label}</div>
    <div class="value">${value}</div>
    <div class="detail">${detail}</div>
  </div>`;
}

function curveSection(stage: string, rows: readonly MetricRow[]): Html {
  const { known, other } = curvesOf(rows);
  if (known.length + other.length === 0) return html``;
  const more =
    other.length > 0
      ? html`<details class="more">
          <summary>${other.length} more metrics</summary>
          ${charts(other)}
        </details>`
      : html``;
  return section(`Training: ${stage}`, html`${charts(known)}${more}`);
}

function charts(curves: readonly Curve[]): Html {
  return html`<div class="charts">
    ${curves.map((curve) => lineChart({ ...curve, xLabel: 'step' }))}
  </div>`;
}
