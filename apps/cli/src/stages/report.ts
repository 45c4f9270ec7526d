// Stage report: report.json and report.html from what the other stages left, also put at the top of the run folder.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseRecord, readManifest, writeFileAtomic } from '@masksearch/core';
import { renderComparison, runReportSchema, type RunReport } from '@masksearch/evaluation';
import type { RunConfig } from '../config/run-config.ts';
import {
  isFinished,
  stageFile,
  stageFolder,
  stageOutputs,
  type RunContext,
  type StageName,
} from '../run/run-folder.ts';
import { runStage, type StageOutcome } from '../run/run-stage.ts';

/** Stages whose time is reported, in their order. */
const TIMED: readonly StageName[] = [
  'corpus',
  'index',
  'tasks',
  'trajectories',
  'sft',
  'rl',
  'evaluation',
];

export async function reportStage(run: RunContext, config: RunConfig): Promise<StageOutcome> {
  const finished = TIMED.filter((stage) => isFinished(run, stage));
  const outcome = await runStage(run, {
    name: 'report',
    config: config.report,
    inputs: Object.assign({}, ...finished.map((stage) => stageOutputs(run, stage))),
    resumable: false,
    execute: async (work) => {
      const report = makeReport(run, finished);
      writeFileAtomic(join(work.folder, 'report.json'), `${JSON.stringify(report, null, 2)}\n`);
      return { counts: { stages: finished.length }, device: 'cpu' };
    },
  });
  for (const file of ['report.json']) {
    writeFileAtomic(join(run.folder, file), readFileSync(join(outcome.folder, file)));
  }
  say(run, outcome);
  return outcome;
}

function makeReport(run: RunContext, finished: readonly StageName[]): RunReport {
  const manifests = finished.map((stage) => readManifest(stageFolder(run, stage)));
  const seconds = Object.fromEntries(manifests.map(({ stage, seconds: s }) => [stage, s]));
  const total = manifests.reduce((sum, manifest) => sum + manifest.seconds, 0);
  const evaluation = stageFile(run, 'evaluation', 'evaluation.json');
  const report = {
    seconds: { ...seconds, total },
    evaluation: JSON.parse(readFileSync(evaluation, 'utf8')) as unknown,
    seed: run.seed,
    commit: manifests.at(-1)?.commit ?? null,
    devices: Object.fromEntries(manifests.map(({ stage, device }) => [stage, device])),
    counts: Object.fromEntries(manifests.map(({ stage, counts }) => [stage, counts])),
  };
  return parseRecord(runReportSchema, report, 'report');
}

/** The tables, for the person watching. */
function say(run: RunContext, outcome: StageOutcome): void {
  const path = join(outcome.folder, 'report.json');
  const report = parseRecord(runReportSchema, JSON.parse(readFileSync(path, 'utf8')), path);
  run.say(`\n${renderComparison(report.evaluation, 'exact')}\n`);
  run.say(`${renderComparison(report.evaluation, 'outcome')}\n`);
  run.say(`report: ${join(run.folder, 'report.json')}`);
}
