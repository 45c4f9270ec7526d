// Stage report: report.json and report.html from what the other stages left, also put at the top of the run folder.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  parseRecord,
  readAllJsonl,
  readJsonFile,
  readManifest,
  writeFileAtomic,
} from '@masksearch/core';
import {
  renderComparison,
  renderReport,
  runReportSchema,
  type MetricRow,
  type RunReport,
} from '@masksearch/evaluation';
import { z } from 'zod';
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
import { readExamples } from './report-examples.ts';

/** Stages whose time is reported, in their order. */
const TIMED = [
  'corpus',
  'index',
  'tasks',
  'trajectories',
  'sft',
  'rl',
  'evaluation',
] as const satisfies readonly StageName[];

export async function reportStage(run: RunContext, config: RunConfig): Promise<StageOutcome> {
  const finished = TIMED.filter((stage) => isFinished(run, stage));
  const outcome = await runStage(run, {
    name: 'report',
    config: { name: config.name, report: config.report },
    inputs: Object.assign({}, ...finished.map((stage) => stageOutputs(run, stage))),
    resumable: false,
    execute: async (work) => {
      const report = makeReport(run, finished);
      writeFileAtomic(join(work.folder, 'report.json'), `${JSON.stringify(report, null, 2)}\n`);
      writeFileAtomic(join(work.folder, 'report.html'), await makePage(run, config, report));
      return { counts: { stages: finished.length }, device: 'cpu' };
    },
  });
  for (const file of ['report.json', 'report.html']) {
    writeFileAtomic(join(run.folder, file), readFileSync(join(outcome.folder, file)));
  }
  sayTables(run, outcome);
  return outcome;
}

function makeReport(run: RunContext, finished: readonly StageName[]): RunReport {
  const manifests = finished.map((stage) => readManifest(stageFolder(run, stage)));
  const seconds = Object.fromEntries(manifests.map(({ stage, seconds: s }) => [stage, s]));
  const total = manifests.reduce((sum, manifest) => sum + manifest.seconds, 0);
  const evaluation = stageFile(run, 'evaluation', 'evaluation.json');
  const report = {
    seconds: { ...seconds, total },
    evaluation: readJsonFile(evaluation),
    seed: run.seed,
    commit: manifests.at(-1)?.commit ?? null,
    devices: Object.fromEntries(manifests.map(({ stage, device }) => [stage, device])),
    counts: Object.fromEntries(manifests.map(({ stage, counts }) => [stage, counts])),
  };
  return parseRecord(runReportSchema, report, evaluation);
}

async function makePage(run: RunContext, config: RunConfig, report: RunReport): Promise<string> {
  const { device, commit } = readManifest(stageFolder(run, 'evaluation'));
  return renderReport({
    title: `MaskSearch: ${config.name}`,
    summary: config.corpus.input ?? 'A generated world; the held-out world shares no name with it.',
    report,
    metrics: { sft: await readMetrics(run, 'sft'), rl: await readMetrics(run, 'rl') },
    trajectories: await readExamples(run, config.evaluation.checkpoints, config.report.episodes),
    facts: { seed: run.seed, commit: commit ?? 'unknown', device },
  });
}

async function readMetrics(run: RunContext, stage: StageName): Promise<MetricRow[]> {
  const path = join(stageFolder(run, stage), 'metrics.jsonl');
  return existsSync(path) ? readAllJsonl(path, z.record(z.string(), z.unknown())) : [];
}

/** The tables, for the person watching. */
function sayTables(run: RunContext, outcome: StageOutcome): void {
  const path = join(outcome.folder, 'report.json');
  const report = parseRecord(runReportSchema, readJsonFile(path), path);
  run.say(`\n${renderComparison(report.evaluation, 'exact')}\n`);
  run.say(`${renderComparison(report.evaluation, 'outcome')}\n`);
  run.say(`report: ${join(run.folder, 'report.html')}`);
}
