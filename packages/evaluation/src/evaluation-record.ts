// The result of an evaluation: metrics with intervals per group, and how a run's report keeps them.
import { finishReasonSchema, InputError, type FinishReason } from '@masksearch/core';
import { z } from 'zod';
import { bootstrapMeans, metricSchema, type BootstrapOptions, type Metric } from './bootstrap.ts';
import type { EvaluatedTask } from './evaluate.ts';

/** One row of a table: the tasks of one group (k1..k4, hop1, hop2, comparison, hop3, list). */
export const groupSchema = z.strictObject({
  /** Mean over slots of exact match. */
  exact: metricSchema,
  /** Mean over slots of token recall. */
  recall: metricSchema,
  f1: metricSchema,
  /** Share of tasks with every slot right. */
  outcome: metricSchema,
  searches: metricSchema,
  policyTokens: metricSchema,
  finishReasons: z.partialRecord(finishReasonSchema, z.int().min(1)),
});
export type GroupResult = z.infer<typeof groupSchema>;

export const evaluationSchema = z.strictObject({
  ramp: z.record(z.string(), groupSchema),
  qa: z.record(z.string(), groupSchema),
  /** Over all tasks of `outcomeGroups`. */
  outcome: metricSchema,
  outcomeGroups: z.array(z.string()),
  /** The same with random passages in place of search results. */
  randomRetrieval: z.strictObject({ outcome: metricSchema }).optional(),
});
export type EvaluationRecord = z.infer<typeof evaluationSchema>;

/** `report.json` of a run. */
export const runReportSchema = z.looseObject({
  /** Seconds per stage, and in total. */
  seconds: z.record(z.string(), z.number().min(0)),
  /** By the state of the model: base, sft, rl. */
  evaluation: z.record(z.string(), evaluationSchema),
});
export type RunReport = z.infer<typeof runReportSchema>;

/** Which groups make up the overall outcome unless told otherwise: in domain, and more than one hop. */
export const DEFAULT_OUTCOME_GROUPS: readonly string[] = ['k1', 'k2', 'k3', 'k4', 'hop2'];

const COLUMNS = ['exact', 'recall', 'f1', 'outcome', 'searches', 'policyTokens'] as const;

export interface SummaryOptions extends BootstrapOptions {
  readonly outcomeGroups?: readonly string[];
}

/** Metrics per group, groups in the order of their names. @throws {InputError} a group mixes task types. */
export function summarizeEvaluation(
  rows: readonly EvaluatedTask[],
  options: SummaryOptions,
): EvaluationRecord {
  const { outcomeGroups = DEFAULT_OUTCOME_GROUPS } = options;
  const groups = Map.groupBy(rows, (row) => row.group);
  const record: EvaluationRecord = {
    ramp: {},
    qa: {},
    outcome: overallOutcome(rows, outcomeGroups, options),
    outcomeGroups: outcomeGroups.filter((group) => groups.has(group)),
  };
  for (const group of [...groups.keys()].sort(byReadingOrder)) {
    const members = groups.get(group) as EvaluatedTask[];
    const [type, other] = new Set(members.map((member) => member.type));
    if (type === undefined || other !== undefined) {
      throw new InputError(
        `summarizeEvaluation: expected group ${group} to hold tasks of one type, received ${type} and ${other}.`,
      );
    }
    record[type][group] = summarizeGroup(members, options);
  }
  return record;
}

/** Mean outcome over all tasks of `groups`; the groups that are absent do not count. */
export function overallOutcome(
  rows: readonly EvaluatedTask[],
  groups: readonly string[],
  options: BootstrapOptions,
): Metric {
  const outcome = rows.filter((row) => groups.includes(row.group)).map((row) => row.outcome);
  return bootstrapMeans({ outcome }, options).outcome;
}

function summarizeGroup(rows: readonly EvaluatedTask[], options: BootstrapOptions): GroupResult {
  const columns = Object.fromEntries(
    COLUMNS.map((column) => [column, rows.map((row) => row[column])]),
  ) as Record<(typeof COLUMNS)[number], number[]>;
  const finishReasons: Partial<Record<FinishReason, number>> = {};
  for (const { finishReason } of rows) {
    finishReasons[finishReason] = (finishReasons[finishReason] ?? 0) + 1;
  }
  return { ...bootstrapMeans(columns, options), finishReasons };
}

const READING_ORDER = ['k1', 'k2', 'k3', 'k4', 'hop1', 'hop2', 'comparison', 'hop3', 'list'];

/** The order in which tables name groups; unknown ones come last, by name. */
export function byReadingOrder(a: string, b: string): number {
  const place = (group: string): number => {
    const index = READING_ORDER.indexOf(group);
    return index < 0 ? READING_ORDER.length : index;
  };
  return place(a) - place(b) || (a < b ? -1 : Number(a > b));
}

/** The groups of an evaluation with their results, in reading order. */
export function groupsOf(record: EvaluationRecord): [string, GroupResult][] {
  return Object.entries({ ...record.ramp, ...record.qa }).sort(([a], [b]) => byReadingOrder(a, b));
}
