// Stage sft: the trajectories as token sequences, through the phases of the configuration.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { trajectoryToExample } from '@masksearch/agent';
import { CancelledError, ConfigError, readAllJsonl, trajectorySchema } from '@masksearch/core';
import { saveModelFolder } from '@masksearch/model';
import type { Tokenizer } from '@masksearch/tokenizer';
import {
  cosineSchedule,
  sft,
  type MetricsRow,
  type SftPhase,
  type TrainingExample,
} from '@masksearch/train';
import type { RunConfig } from '../config/run-config.ts';
import { stageFile, stageOutputs, type RunContext } from '../run/run-folder.ts';
import { runStage, type StageOutcome, type StageWork } from '../run/run-stage.ts';
import { copyingGenerator } from './copying.ts';
import { modelInputs, openModel, readTokenizer } from './model-source.ts';
import { readTasks } from './read-tasks.ts';

export async function sftStage(run: RunContext, config: RunConfig): Promise<StageOutcome> {
  // Results do not depend on the number of threads.
  const { threads: _, ...model } = config.model;
  return runStage(run, {
    name: 'sft',
    config: { sft: config.sft, model },
    inputs: { ...stageOutputs(run, 'trajectories'), ...(await modelInputs(run, config, 'base')) },
    resumable: true,
    execute: (work) => trainSft(run, config, work),
  });
}

async function trainSft(run: RunContext, config: RunConfig, work: StageWork) {
  const tokenizer = readTokenizer(run);
  const examples = await readExamples(run, tokenizer);
  const model = await openModel(run, config, 'base');
  const { weightDecay, maxGradientNorm } = config.sft;
  const checkpoints = join(work.folder, 'checkpoints');
  const progress = work.progress('steps');
  try {
    const result = await sft({
      model,
      phases: phasesOf(run, config, tokenizer, examples),
      schedule: cosineSchedule({
        peak: config.sft.learningRate,
        floor: config.sft.finalLearningRate,
        warmUpSteps: config.sft.warmUpSteps,
      }),
      batchTokens: config.sft.batchTokens,
      microBatchTokens: config.sft.microBatchTokens,
      seed: run.seed,
      adamW: { weightDecay, maxGradientNorm },
      checkpoints: { folder: checkpoints, everySteps: config.sft.checkpointEvery },
      metrics: join(work.folder, 'metrics.jsonl'),
      signal: work.signal,
      onStep: (row) => progress.update(Number(row['step']), undefined, noteOf(row)),
    });
    if (result.stopped) {
      throw new CancelledError(`sft: stopped at step ${result.steps} of ${result.totalSteps}.`);
    }
    const tokenizerJson = tokenizer.serialize();
    await saveModelFolder(join(work.folder, 'model'), model, { tokenizerJson });
    // The weights are in place: what only resumption needs can go.
    rmSync(checkpoints, { recursive: true, force: true });
    const { steps, tokens, skippedSteps } = result;
    return {
      counts: { steps, tokens, skippedSteps, ...countExamples(examples) },
      device: model.device,
    };
  } finally {
    await model.dispose();
  }
}

function noteOf(row: MetricsRow): string {
  return `loss ${Number(row['train/loss']).toFixed(3)}  ${String(row['train/phase'])}`;
}

type ExamplesByGroup = ReadonlyMap<string, readonly TrainingExample[]>;

async function readExamples(run: RunContext, tokenizer: Tokenizer): Promise<ExamplesByGroup> {
  const tasks = new Map((await readTasks(run, 'train')).map((task) => [task.id, task]));
  const path = stageFile(run, 'trajectories', 'trajectories.jsonl');
  const byGroup = new Map<string, TrainingExample[]>();
  for (const trajectory of await readAllJsonl(path, trajectorySchema)) {
    const task = tasks.get(trajectory.taskId);
    if (task === undefined) continue;
    const { ids, mask } = trajectoryToExample(trajectory, task, tokenizer);
    const group = byGroup.get(trajectory.group) ?? [];
    byGroup.set(trajectory.group, group);
    group.push({ ids, mask });
  }
  return byGroup;
}

function phasesOf(
  run: RunContext,
  { sft: { phases, copying, batchTokens } }: RunConfig,
  tokenizer: Tokenizer,
  byGroup: ExamplesByGroup,
): SftPhase[] {
  return phases.map(({ name, groups, copyEvery, ...end }) => {
    const examples = groups.flatMap((group) => byGroup.get(group) ?? []);
    if (groups.length > 0 && examples.length === 0) {
      throw new ConfigError(
        `sft: expected trajectories of ${groups.join(', ')} for phase ${name}, found none; there are ${[...byGroup.keys()].join(', ')}.`,
      );
    }
    const generate = copyingGenerator({
      ...copying,
      seed: run.seed,
      phase: name,
      vocabularySize: tokenizer.vocabularySize,
      firstPlainToken: tokenizer.specialTokens.length,
      batchTokens,
    });
    const isMixed = copyEvery > 0 && examples.length > 0;
    return {
      name,
      ...(examples.length > 0 ? { examples } : {}),
      ...(copyEvery > 0 || examples.length === 0 ? { generate } : {}),
      ...(isMixed ? { generateEvery: copyEvery } : {}),
      ...withoutUndefined(end),
    };
  });
}

/** Only the keys that have a value. */
function withoutUndefined(end: {
  steps?: number | undefined;
  tokens?: number | undefined;
  epochs?: number | undefined;
}): { steps?: number; tokens?: number; epochs?: number } {
  return Object.fromEntries(Object.entries(end).filter(([, value]) => value !== undefined));
}

function countExamples(byGroup: ExamplesByGroup): Record<string, number> {
  return Object.fromEntries(
    [...byGroup].map(([group, examples]) => [`examples/${group}`, examples.length]),
  );
}
