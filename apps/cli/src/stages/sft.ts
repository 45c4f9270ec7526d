// Stage sft: the trajectories as token sequences, through the phases of the configuration.
import { trajectoryToExample } from '@masksearch/agent';
import {
  ConfigError,
  InputError,
  RandomStream,
  readAllJsonl,
  trajectorySchema,
} from '@masksearch/core';
import type { Tokenizer } from '@masksearch/tokenizer';
import {
  cosineSchedule,
  countPhaseSteps,
  sft,
  type MetricsRow,
  type SftPhase,
  type TrainingExample,
} from '@masksearch/train';
import { copyingExamples } from '../base/copying-examples.ts';
import type { RunConfig } from '../config/run-config.ts';
import { stageFile, stageOutputs, type RunContext } from '../run/run-folder.ts';
import { runStage, type StageOutcome, type StageResult, type StageWork } from '../run/run-stage.ts';
import { openConversation, type Conversation } from './conversation.ts';
import { modelInputs } from './model-source.ts';
import { readTasks } from './read-tasks.ts';
import { trainCheckpoint } from './train-checkpoint.ts';

export async function sftStage(run: RunContext, config: RunConfig): Promise<StageOutcome> {
  // Results do not depend on the number of threads, nor on what fits into a GPU.
  const { threads: _, gpuMemory: _memory, ...model } = config.model;
  return runStage(run, {
    name: 'sft',
    config: { sft: config.sft, model },
    inputs: { ...stageOutputs(run, 'trajectories'), ...(await modelInputs(run, config, 'base')) },
    resumable: true,
    execute: (work) => trainSft(run, config, work),
  });
}

function trainSft(run: RunContext, config: RunConfig, work: StageWork): Promise<StageResult> {
  const { batchTokens, microBatchTokens, weightDecay, maxGradientNorm, ...options } = config.sft;
  const progress = work.progress('steps');
  return trainCheckpoint({
    run,
    config,
    work,
    from: 'base',
    lora: config.sft.lora,
    memory: { batchTokens: microBatchTokens },
    train: async ({ model, tokenizer, checkpoints, metrics }) => {
      const examples = await readExamples(run, openConversation(run, config));
      const phases = phasesOf(run, config, tokenizer, examples);
      const totalSteps = countPhaseSteps({ phases, batchTokens, seed: run.seed });
      const { stopped, steps, tokens, skippedSteps } = await sft({
        model,
        phases,
        schedule: cosineSchedule({
          peak: options.learningRate,
          floor: options.finalLearningRate,
          warmUpSteps: options.warmUpSteps,
        }),
        batchTokens,
        microBatchTokens,
        seed: run.seed,
        adamW: { weightDecay, maxGradientNorm },
        checkpoints: { folder: checkpoints, everySteps: options.checkpointEvery },
        metrics,
        signal: work.signal,
        onStep: (row) => progress.update(Number(row['step']), totalSteps, noteOf(row)),
      });
      const counts = { steps, tokens, skippedSteps, ...countExamples(examples) };
      return { stopped, counts };
    },
  });
}

function noteOf(row: MetricsRow): string {
  return `loss ${Number(row['train/loss']).toFixed(3)}  ${String(row['train/phase'])}`;
}

type ExamplesByGroup = ReadonlyMap<string, readonly TrainingExample[]>;

async function readExamples(
  run: RunContext,
  { tokenizer, codec }: Conversation,
): Promise<ExamplesByGroup> {
  const tasks = new Map((await readTasks(run, 'train')).map((task) => [task.id, task]));
  const path = stageFile(run, 'trajectories', 'trajectories.jsonl');
  const byGroup = new Map<string, TrainingExample[]>();
  for (const trajectory of await readAllJsonl(path, trajectorySchema)) {
    const task = tasks.get(trajectory.taskId);
    if (task === undefined) {
      throw new InputError(
        `${path}: expected trajectories of this run's tasks, received one of ${trajectory.taskId}; run \`masksearch trajectories --run ${run.folder} --fresh\`.`,
      );
    }
    const { ids, mask } = trajectoryToExample(trajectory, task, tokenizer, codec);
    const group = byGroup.get(trajectory.group) ?? [];
    byGroup.set(trajectory.group, group);
    group.push({ ids, mask });
  }
  return byGroup;
}

function phasesOf(
  run: RunContext,
  { sft: { phases, batchTokens } }: RunConfig,
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
    const generate = (step: number) =>
      copyingExamples(new RandomStream(run.seed, 'copying', name, step), tokenizer, batchTokens);
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
