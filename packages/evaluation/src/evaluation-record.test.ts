import { InputError } from '@masksearch/core';
import { maskTask, questionTask } from '@masksearch/core/testing';
import { describe, expect, test } from 'vitest';
import { compareEvaluations } from './compare.ts';
import { scoreTask, type EvaluatedTask } from './evaluate.ts';
import {
  evaluationSchema,
  groupsOf,
  runReportSchema,
  summarizeEvaluation,
} from './evaluation-record.ts';
import { renderComparison, renderEvaluation, renderTable } from './text-table.ts';

/** Four RAMP tasks and four questions, the first `right` of each answered correctly. */
function rowsWith(right: number): EvaluatedTask[] {
  return [0, 1, 2, 3].flatMap((t) => {
    const episode = (answer: string[]) => ({
      answer: t < right ? answer : ['x'],
      finishReason: t === 3 ? ('turn-limit' as const) : ('answer' as const),
      searches: t,
      policyTokens: 10 * t,
    });
    return [
      scoreTask(
        questionTask({ id: `q${t}`, group: 'hop2', golds: [{ text: 'B', aliases: [] }] }),
        episode(['B']),
      ),
      scoreTask(maskTask({ id: `m${t}` }), episode(['Tusade', '1874'])),
    ];
  });
}

const options = { seed: 5 };
const before = summarizeEvaluation(rowsWith(1), options);
const after = summarizeEvaluation(rowsWith(3), options);

describe('summarizeEvaluation', () => {
  test('sums up each group by hand-computed means', () => {
    const k2 = after.ramp['k2'];
    expect(k2?.exact).toMatchObject({ mean: 0.75, n: 4 });
    expect(k2?.outcome.mean).toBe(0.75);
    expect(k2?.searches.mean).toBe(1.5);
    expect(k2?.policyTokens.mean).toBe(15);
    expect(k2?.finishReasons).toEqual({ answer: 3, 'turn-limit': 1 });
    expect(after.qa['hop2']?.recall.mean).toBe(0.75);
  });

  test('takes the overall outcome over the chosen groups', () => {
    expect(before.outcome).toMatchObject({ mean: 0.25, n: 8 });
    expect(before.outcomeGroups).toEqual(['k2', 'hop2']);
    const only = summarizeEvaluation(rowsWith(1), { ...options, outcomeGroups: ['hop2'] });
    expect(only.outcome.n).toBe(4);
  });

  test('fits its schema, alone and in the report of a run', () => {
    evaluationSchema.parse(after);
    const report = { seconds: { sft: 1, total: 2 }, evaluation: { sft: before, rl: after } };
    expect(runReportSchema.parse(JSON.parse(JSON.stringify(report)))).toEqual(report);
  });

  test('orders groups for reading', () => {
    const groups = ['list', 'k2', 'zz', 'hop1', 'k1'];
    const rows = groups.map((group) => ({ ...(rowsWith(1)[0] as EvaluatedTask), group }));
    const order = groupsOf(summarizeEvaluation(rows, options)).map(([group]) => group);
    expect(order).toEqual(['k1', 'k2', 'hop1', 'list', 'zz']);
  });

  test('refuses a group of masks and questions', () => {
    const rows = rowsWith(1).map((row) => ({ ...row, group: 'same' }));
    expect(() => summarizeEvaluation(rows, options)).toThrow(InputError);
  });
});

describe('compareEvaluations', () => {
  test('compares task by task, whatever the order', () => {
    const difference = compareEvaluations(rowsWith(1), rowsWith(3).toReversed(), options);
    expect(difference).toMatchObject({ mean: 0.5, n: 8 });
    expect(difference.low).toBeGreaterThan(0);
  });

  test('can be about some groups and another value', () => {
    const difference = compareEvaluations(rowsWith(1), rowsWith(3), {
      ...options,
      groups: ['k2'],
      value: (row) => row.exact,
    });
    expect(difference).toMatchObject({ mean: 0.5, n: 4 });
  });

  test('refuses evaluations of different tasks', () => {
    const rows = rowsWith(1);
    expect(() => compareEvaluations(rows, rows.slice(1), options)).toThrow(/without q0/);
    expect(() => compareEvaluations(rows.slice(1), rows, options)).toThrow(
      /same 7 tasks, received 8/,
    );
  });
});

describe('text tables', () => {
  test('align their columns', () => {
    expect(renderTable(['a', 'bb'], [['xyz', '1']])).toBe('a    bb\n───────\nxyz   1');
  });

  test('show an evaluation with its control', () => {
    const record = {
      ...after,
      randomRetrieval: { outcome: { mean: 0.05, low: 0, high: 0.1, n: 8 } },
    };
    const lines = renderEvaluation(record).split('\n');
    expect(lines[2]).toMatch(/^k2 +4 +0\.75 \[.*25 %$/);
    expect(lines.at(-2)).toMatch(/^overall +8 +0\.75 \[/);
    expect(lines.at(-1)).toMatch(/^random passages +8 +0\.05 \[0\.00, 0\.10\]$/);
  });

  test('put evaluations side by side', () => {
    const lines = renderComparison({ sft: before, rl: after }, 'outcome').split('\n');
    expect(lines[0]).toMatch(/^outcome +sft +rl$/);
    expect(lines[2]).toMatch(/^k2 +0\.25 \[.*\] +0\.75 \[.*\]$/);
  });
});
