// Self-evolving distillation: a teacher's trajectories and SFT, then rounds in which the student is the next teacher.
import { join } from 'node:path';
import { CancelledError, ConfigError, writeFileAtomic } from '@masksearch/core';
import type { RunConfig } from '../config/run-config.ts';
import type { RunContext } from '../run/run-folder.ts';
import { evaluationStage } from '../stages/evaluation.ts';
import { sftStage } from '../stages/sft.ts';
import { trajectoriesStage } from '../stages/trajectories.ts';
import { roundRun, roundTasks } from './round-folder.ts';
import { roundTable, summarizeRound, type RoundSummary } from './round-table.ts';
import { studentTrajectories } from './student-trajectories.ts';

/**
 * Round 0: the configured teacher plays its share of the tasks. Round r: the student of round r − 1 plays tasks that no
 * round has seen, the judge filters, everything kept so far trains a student from the base model. Stages that are done
 * are skipped and those that were cut off continue, within a round and between rounds.
 * @returns a summary per round; also written to `evolve/rounds.json` and `evolve/rounds.md`.
 * @throws {ConfigError} a round has no tasks.
 */
export async function evolve(run: RunContext, config: RunConfig): Promise<RoundSummary[]> {
  const { rounds } = config.evolve;
  const summaries: RoundSummary[] = [];
  for (let round = 0; round <= rounds; round++) {
    if (run.signal.aborted) throw new CancelledError(`evolve: cancelled before round ${round}.`);
    run.say(`round ${round} of ${rounds}`);
    const { manifest } = await roundTasks(run, round, rounds);
    if (manifest.counts['fresh'] === 0) {
      throw new ConfigError(
        `evolve: expected tasks for each of ${rounds + 1} rounds, found none for round ${round}; make more tasks or fewer rounds.`,
      );
    }
    await playRound(run, round, config);
    summaries.push(await summarizeRound(roundRun(run, round), round));
    writeSummaries(run, summaries);
  }
  return summaries;
}

async function playRound(run: RunContext, round: number, config: RunConfig): Promise<void> {
  const target = roundRun(run, round);
  if (round === 0) await trajectoriesStage(target, config);
  else {
    const before = roundRun(run, round - 1);
    await studentTrajectories({ run: target, before, round, config });
  }
  await sftStage(target, config);
  const evaluation = { ...config.evaluation, checkpoints: ['sft' as const] };
  await evaluationStage(target, { ...config, evaluation });
}

function writeSummaries(run: RunContext, summaries: readonly RoundSummary[]): void {
  const folder = join(run.folder, 'evolve');
  writeFileAtomic(join(folder, 'rounds.json'), `${JSON.stringify(summaries, null, 2)}\n`);
  writeFileAtomic(join(folder, 'rounds.md'), roundTable(summaries));
}
