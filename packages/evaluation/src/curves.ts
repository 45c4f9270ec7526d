// Which metrics of a stage become which charts; what is not listed is drawn too, further down.
import type { Series } from './line-chart.ts';

/** One line of a stage's metrics file. */
export type MetricRow = Readonly<Record<string, unknown>>;

export interface Curve {
  readonly title: string;
  readonly series: readonly Series[];
}

/** Title and metrics, with their names in the legend. The order is that of the report. */
const CHARTS: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
  ['Loss', { 'train/loss': 'training', 'val/loss': 'held back' }],
  ['Reward', { 'critic/rewards/mean': 'mean' }],
  ['Outcome (all slots right)', { 'critic/score/mean': 'mean' }],
  [
    'Reward terms',
    { 'reward/answer': 'answer', 'reward/format': 'format', 'reward/overlong': 'overlong' },
  ],
  [
    'Outcome by masks',
    {
      'curriculum/acc_by_masks/1': 'k = 1',
      'curriculum/acc_by_masks/2': 'k = 2',
      'curriculum/acc_by_masks/3': 'k = 3',
      'curriculum/acc_by_masks/4': 'k = 4',
    },
  ],
  [
    'Outcome by questions',
    {
      'curriculum/acc_by_group/hop1': '1 hop',
      'curriculum/acc_by_group/hop2': '2 hops',
      'curriculum/acc_by_group/comparison': 'comparison',
    },
  ],
  ['Entropy (nats per token)', { 'actor/entropy': 'policy', 'train/entropy': 'policy' }],
  [
    'Policy tokens per episode',
    { 'response_length/mean': 'mean', 'response_length/max': 'longest' },
  ],
  ['Searches per episode', { 'search/calls_per_rollout': 'mean' }],
  [
    'Groups of samples',
    { 'dapo/keep_rate': 'kept', 'dapo/all_correct': 'all right', 'dapo/all_wrong': 'all wrong' },
  ],
  ['Policy loss', { 'actor/pg_loss': 'mean' }],
  ['Clipped tokens', { 'actor/pg_clipfrac': 'above', 'actor/pg_clipfrac_lower': 'below' }],
  ['Gradient norm', { 'train/grad_norm': 'norm', 'actor/grad_norm': 'norm' }],
  ['Learning rate', { 'train/lr': 'rate', 'actor/lr': 'rate' }],
  ['Sampler against trainer (KL)', { 'rollout/kl_train_infer': 'mean' }],
  ['Tokens per second', { 'perf/throughput': 'mean' }],
];

/** The charts for a stage's rows: the well-known ones, and one for every other number. */
export function curvesOf(rows: readonly MetricRow[]): { known: Curve[]; other: Curve[] } {
  const known = CHARTS.map(([title, names]) => ({
    title,
    series: Object.entries(names).flatMap(([metric, name]) => seriesOf(rows, metric, name)),
  })).filter(({ series }) => series.length > 0);
  const listed = new Set(['step', ...CHARTS.flatMap(([, names]) => Object.keys(names))]);
  const numbers = rows.flatMap((row) => Object.keys(row).filter((key) => isNumber(row[key])));
  const other = [...new Set(numbers)]
    .filter((metric) => !listed.has(metric))
    .sort()
    .map((metric) => ({ title: metric, series: seriesOf(rows, metric, metric) }));
  return { known, other };
}

/** One series, or none if no row has the metric. A row without a step counts by its position. */
function seriesOf(rows: readonly MetricRow[], metric: string, name: string): Series[] {
  const points = rows.flatMap((row, r): [number, number][] => {
    const [x, y] = [row['step'], row[metric]];
    return isNumber(y) ? [[isNumber(x) ? x : r + 1, y]] : [];
  });
  return points.length > 0 ? [{ name, points }] : [];
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}
