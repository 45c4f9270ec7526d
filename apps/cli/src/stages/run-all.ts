// Every stage of a run in order; what is up to date is skipped.
import { CancelledError } from '@masksearch/core';
import type { RunConfig } from '../config/run-config.ts';
import type { RunContext, StageName } from '../run/run-folder.ts';
import type { StageOutcome } from '../run/run-stage.ts';
import { STAGES } from './registry.ts';

/** Stages that a run consists of; rollouts are made on demand, for inspection. */
const ON_DEMAND: ReadonlySet<StageName> = new Set<StageName>(['rollouts']);

export function runAllStages(run: RunContext, config: RunConfig): Promise<StageOutcome[]> {
  return runStagesUpTo(run, config, 'report');
}

/** The stages of a run from the first to `last`. @throws {CancelledError} the run was interrupted. */
export async function runStagesUpTo(
  run: RunContext,
  config: RunConfig,
  last: StageName,
): Promise<StageOutcome[]> {
  const outcomes: StageOutcome[] = [];
  for (const stage of STAGES) {
    if (ON_DEMAND.has(stage.name)) continue;
    if (run.signal.aborted) throw new CancelledError(`run: cancelled before ${stage.name}.`);
    const work = await stage.load();
    outcomes.push(await work(run, config));
    if (stage.name === last) break;
  }
  return outcomes;
}
