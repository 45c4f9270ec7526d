import { maskTask, questionTask } from '@masksearch/core/testing';
import { describe, expect, test } from 'vitest';
import { curvesOf } from './curves.ts';
import { scoreTask } from './evaluate.ts';
import { summarizeEvaluation } from './evaluation-record.ts';
import { escapeHtml, html } from './html.ts';
import { lineChart } from './line-chart.ts';
import { renderReport, type ReportInput } from './render-report.ts';
import { durationText } from './report-tables.ts';
import { formatTick, niceTicks } from './ticks.ts';

const HOSTILE = `</pre><script>alert("x")</script><img src=x onerror='y'>&amp;`;

const record = summarizeEvaluation(
  [
    scoreTask(maskTask({ id: 'm' }), {
      answer: ['Tusade', '1874'],
      finishReason: 'answer',
      searches: 1,
      policyTokens: 9,
    }),
  ],
  { seed: 1 },
);

const input: ReportInput = {
  title: 'A run',
  summary: 'What was done.',
  report: {
    seconds: { corpus: 2, sft: 75, total: 77 },
    evaluation: { sft: record, rl: { ...record, randomRetrieval: { outcome: record.outcome } } },
  },
  metrics: {
    sft: [
      { step: 1, 'train/loss': 4, 'train/phase': 'copying', 'my/number': 1 },
      { step: 2, 'train/loss': 3, 'my/number': Number.NaN },
    ],
    rl: [{ step: 1, 'critic/score/mean': 0.5 }],
  },
  trajectories: [
    {
      stage: 'rl',
      task: questionTask({ id: 'q', group: 'hop1', golds: [{ text: 'B', aliases: [] }] }),
      messages: [
        { author: 'user', text: 'Where?' },
        { author: 'policy', text: '<search>it</search>' },
        { author: 'tool', text: `<information>${HOSTILE}</information>` },
      ],
      answer: ['C'],
      verdict: { accepted: false, reason: 'wrong-answer' },
      reward: 0.1,
    },
  ],
  facts: { seed: 1, device: 'cpu' },
};

describe('renderReport', () => {
  const page = renderReport(input);

  test('holds headline, tables, curves, times and episodes', () => {
    for (const text of [
      'A run',
      'What was done.',
      'Outcome, rl',
      'With random passages',
      '1 min 17 s',
    ]) {
      expect(page).toContain(text);
    }
    expect(page.match(/<figure class="chart">/g)).toHaveLength(3);
    for (const text of ['2 masks', 'my/number', '1 min 15 s', 'wrong-answer']) {
      expect(page).toContain(text);
    }
  });

  test('shows retrieved text as text, with the tags of the protocol set off', () => {
    expect(page).toContain(escapeHtml(HOSTILE));
    expect(page).not.toContain('<script');
    expect(page).not.toContain('<img');
    expect(page).toContain('<b>&lt;information&gt;</b>');
  });

  test('escapes every other text that comes from data', () => {
    const [trajectory] = input.trajectories;
    const hostile = renderReport({
      ...input,
      title: HOSTILE,
      summary: HOSTILE,
      facts: { [HOSTILE]: HOSTILE },
      report: { seconds: { [HOSTILE]: 1 }, evaluation: { [HOSTILE]: record } },
      metrics: { [HOSTILE]: [{ step: 1, [HOSTILE]: 2 }] },
      trajectories: trajectory
        ? [
            {
              ...trajectory,
              stage: HOSTILE,
              answer: [HOSTILE],
              verdict: { accepted: false, reason: HOSTILE },
            },
          ]
        : [],
    });
    expect(hostile).not.toMatch(/<script|<img/);
  });

  test('needs no network and no script', () => {
    expect(page).not.toMatch(/https?:|url\(|@import|<link|<script/);
  });

  test('closes what it opens', () => {
    for (const tag of [
      'section',
      'table',
      'tr',
      'td',
      'th',
      'div',
      'svg',
      'figure',
      'details',
      'dl',
      'span',
    ]) {
      const opened = page.match(new RegExp(`<${tag}[\\s>]`, 'g'))?.length ?? 0;
      expect([tag, page.match(new RegExp(`</${tag}\\s*>`, 'g'))?.length ?? 0]).toEqual([
        tag,
        opened,
      ]);
    }
  });

  test('does without what a run does not have', () => {
    const bare = renderReport({
      title: 'Bare',
      report: { seconds: {}, evaluation: {} },
      metrics: { sft: [] },
      trajectories: [],
    });
    expect(bare).toContain('<h1>Bare</h1>');
    expect(bare).not.toContain('<h2>');
    expect(bare).not.toMatch(/NaN|undefined|Infinity/);
  });
});

describe('lineChart', () => {
  const chart = (points: (readonly [number, number])[]): string =>
    lineChart({ title: 't', xLabel: 'step', series: [{ name: 'n', points }] }).markup;

  test('places points within the axes', () => {
    const markup = chart([
      [0, 0],
      [10, 1],
    ]);
    expect(markup).toContain('d="M48 172L346 12"');
  });

  test('leaves out what is not finite, and draws nothing of nothing', () => {
    expect(
      chart([
        [1, 2],
        [2, Number.NaN],
        [3, 4],
        [4, Infinity],
      ]),
    ).not.toMatch(/NaN|Infinity/);
    expect(chart([[1, Number.NaN]])).toBe('');
  });

  test('draws a constant and a single point', () => {
    expect(
      chart([
        [1, 5],
        [2, 5],
      ]),
    ).toMatch(/d="M48 92L346 92"/);
    expect(chart([[1, 5]])).toContain('<circle');
  });

  test('stays small for long series, and smooths them', () => {
    const markup = chart(Array.from({ length: 100_000 }, (_, x) => [x, Math.sin(x)] as const));
    expect(markup.length).toBeLessThan(20_000);
    expect(markup).toContain('faint');
  });
});

describe('ticks', () => {
  test.each([
    [0, 1, 5, [0, 0.2, 0.4, 0.6, 0.8, 1]],
    [3, 97, 5, [0, 20, 40, 60, 80, 100]],
    [0.011, 0.019, 4, [0.01, 0.012, 0.014, 0.016, 0.018, 0.02]],
    [-1, 1, 2, [-1, 0, 1]],
    [5, 5, 2, [0, 5, 10]],
    [0, 0, 2, [0, 0.5, 1]],
  ])('niceTicks(%d, %d, %i)', (low, high, count, ticks) => {
    expect(niceTicks(low, high, count)).toEqual(ticks);
  });

  test('niceTicks keeps to whole steps', () => {
    expect(niceTicks(1, 3, 5, 1)).toEqual([1, 2, 3]);
  });

  test.each([
    [0, '0'],
    [0.05, '0.05'],
    [12_000, '12k'],
    [2_500_000, '2.5M'],
    [0.00001, '1e-5'],
  ])('formatTick(%d) is %s', (value, text) => {
    expect(formatTick(value)).toBe(text);
  });
});

test('curvesOf draws known metrics together and others one by one', () => {
  const { known, other } = curvesOf([
    { step: 10, 'dapo/keep_rate': 0.5, 'dapo/all_wrong': 0.2, 'x/y': 1, 'train/phase': 'k1' },
    { 'x/y': 2 },
  ]);
  expect(known.map(({ title, series }) => [title, series.length])).toEqual([
    ['Groups of samples', 2],
  ]);
  expect(other).toEqual([
    {
      title: 'x/y',
      series: [
        {
          name: 'x/y',
          points: [
            [10, 1],
            [2, 2],
          ],
        },
      ],
    },
  ]);
});

test('html escapes values and keeps markup', () => {
  expect(html`<b title="${'"'}">${['<', html`<i>${1}</i>`]}</b>`.markup).toBe(
    '<b title="&quot;">&lt;<i>1</i></b>',
  );
});

test.each([
  [0.04, '0.0 s'],
  [8.34, '8.3 s'],
  [45.4, '45 s'],
  [125, '2 min 05 s'],
  [3720, '1 h 02 min'],
])('durationText(%d) is %s', (seconds, text) => {
  expect(durationText(seconds)).toBe(text);
});
