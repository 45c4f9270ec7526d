// What each round brought: what the judge kept of it by number of masks, how much was searched, how the student does on held-out tasks.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  parseRecord,
  readAllJsonl,
  readJsonFile,
  trajectorySchema,
  type Trajectory,
} from '@masksearch/core';
import { evaluationSchema } from '@masksearch/evaluation';
import { z } from 'zod';
import { stageFile, stageFolder, type RunContext } from '../run/run-folder.ts';

export interface RoundSummary {
  readonly round: number;
  /** Group → share of this round's trajectories that were kept. */
  readonly kept: Readonly<Record<string, number>>;
  /** Trajectories made in this round. */
  readonly made: number;
  /** Trajectories that the round's SFT learned from. */
  readonly pool: number;
  readonly searchesPerTask: number;
  /** Group → share of held-out tasks with every slot right, after the round's SFT. */
  readonly heldout: Readonly<Record<string, number>>;
  /** The same over the groups that make up the overall outcome, with its 95 % interval. */
  readonly outcome: { readonly mean: number; readonly low: number; readonly high: number };
}

/** Reads what a finished round left behind. */
export async function summarizeRound(run: RunContext, round: number): Promise<RoundSummary> {
  const pool = await readAll(run, 'trajectories.jsonl');
  const student = join(stageFolder(run, 'trajectories'), 'student.jsonl');
  const made = existsSync(student)
    ? await readAllJsonl(student, trajectorySchema)
    : [...pool, ...(await readAll(run, 'rejected.jsonl'))];
  const searches = made.reduce((sum, { cost }) => sum + cost.searches, 0);
  const path = stageFile(run, 'evaluation', 'evaluation.json');
  const records = parseRecord(z.record(z.string(), evaluationSchema), readJsonFile(path), path);
  const { sft } = records;
  const groups = { ...sft?.ramp, ...sft?.qa };
  const { mean = 0, low = 0, high = 0 } = sft?.outcome ?? {};
  return {
    round,
    kept: keptShares(made),
    made: made.length,
    pool: pool.length,
    searchesPerTask: made.length === 0 ? 0 : searches / made.length,
    heldout: Object.fromEntries(
      Object.entries(groups).map(([group, { outcome }]) => [group, outcome.mean]),
    ),
    outcome: { mean, low, high },
  };
}

function readAll(run: RunContext, file: string): Promise<Trajectory[]> {
  return readAllJsonl(stageFile(run, 'trajectories', file), trajectorySchema);
}

function keptShares(made: readonly Trajectory[]): Record<string, number> {
  const groups = Map.groupBy(made, ({ group }) => group);
  return Object.fromEntries(
    [...groups]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([group, members]) => {
        const kept = members.filter(({ verdict }) => verdict.accepted).length;
        return [group, kept / members.length];
      }),
  );
}

/** A Markdown table, one row a round. */
export function roundTable(rounds: readonly RoundSummary[]): string {
  const keptGroups = [...new Set(rounds.flatMap(({ kept }) => Object.keys(kept)))].toSorted();
  const heldGroups = [...new Set(rounds.flatMap(({ heldout }) => Object.keys(heldout)))].toSorted();
  const head = [
    'round',
    'made',
    'pool',
    'searches per task',
    ...keptGroups.map((group) => `kept ${group}`),
    ...heldGroups.map((group) => `held out ${group}`),
    'held out, all',
  ];
  const percent = (share: number | undefined): string =>
    share === undefined ? '' : `${(100 * share).toFixed(1)} %`;
  const rows = rounds.map(({ round, made, pool, searchesPerTask, kept, heldout, outcome }) => [
    String(round),
    String(made),
    String(pool),
    searchesPerTask.toFixed(2),
    ...keptGroups.map((group) => percent(kept[group])),
    ...heldGroups.map((group) => percent(heldout[group])),
    `${percent(outcome.mean)} (${percent(outcome.low)} to ${percent(outcome.high)})`,
  ]);
  const lines = [head, head.map(() => '---'), ...rows];
  return `${lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}\n`;
}
