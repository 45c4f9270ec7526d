// Tables for a terminal: aligned columns of plain text.
import type { Metric } from './bootstrap.ts';
import {
  byReadingOrder,
  groupsOf,
  type EvaluationRecord,
  type GroupResult,
} from './evaluation-record.ts';

/** Aligns rows of cells under headers; the first column to the left, the others to the right. */
export function renderTable(
  headers: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const widths = headers.map((header, c) =>
    Math.max(header.length, ...rows.map((row) => row[c]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    widths
      .map((width, c) =>
        c === 0 ? (cells[c] ?? '').padEnd(width) : (cells[c] ?? '').padStart(width),
      )
      .join('  ')
      .trimEnd();
  const rule = widths.map((width) => '─'.repeat(width)).join('──');
  return [line(headers), rule, ...rows.map(line)].join('\n');
}

/** `0.62 [0.57, 0.67]`: mean and 95 % interval. */
export function formatMetric({ mean, low, high }: Metric): string {
  return `${mean.toFixed(2)} [${low.toFixed(2)}, ${high.toFixed(2)}]`;
}

/** One evaluation: a row per group and one for the overall outcome. */
export function renderEvaluation(record: EvaluationRecord): string {
  const rows = groupsOf(record).map(([group, result]) => [
    group,
    String(result.outcome.n),
    formatMetric(result.exact),
    formatMetric(result.recall),
    formatMetric(result.f1),
    formatMetric(result.outcome),
    result.searches.mean.toFixed(2),
    unanswered(result),
  ]);
  const overall = ['overall', String(record.outcome.n), '', '', '', formatMetric(record.outcome)];
  const random = record.randomRetrieval?.outcome;
  const control = random
    ? [['random passages', String(random.n), '', '', '', formatMetric(random)]]
    : [];
  return renderTable(
    ['group', 'n', 'exact', 'recall', 'F1', 'outcome', 'searches', 'unanswered'],
    [...rows, overall, ...control],
  );
}

/** Several evaluations beside each other, e.g. before and after: one metric, a column for each. */
export function renderComparison(
  evaluations: Readonly<Record<string, EvaluationRecord>>,
  metric: 'exact' | 'recall' | 'f1' | 'outcome' = 'exact',
): string {
  const stages = Object.entries(evaluations);
  const tables = stages.map(([, record]) => new Map(groupsOf(record)));
  const groups = [...new Set(tables.flatMap((table) => [...table.keys()]))].sort(byReadingOrder);
  const rows = groups.map((group) => [
    group,
    ...tables.map((table) => {
      const result = table.get(group);
      return result ? formatMetric(result[metric]) : '';
    }),
  ]);
  const overall = ['overall outcome', ...stages.map(([, record]) => formatMetric(record.outcome))];
  const control = stages.some(([, record]) => record.randomRetrieval)
    ? [
        [
          'random passages',
          ...stages.map(([, { randomRetrieval }]) =>
            randomRetrieval ? formatMetric(randomRetrieval.outcome) : '',
          ),
        ],
      ]
    : [];
  return renderTable([metric, ...stages.map(([stage]) => stage)], [...rows, overall, ...control]);
}

/** Share of episodes that ended without an answer. */
function unanswered({ finishReasons, outcome }: GroupResult): string {
  const answered = finishReasons.answer ?? 0;
  return `${Math.round((100 * (outcome.n - answered)) / Math.max(1, outcome.n))} %`;
}
