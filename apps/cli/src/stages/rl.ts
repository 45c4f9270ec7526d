// Stage rl: DAPO on rollouts of the model itself. Here agent, search and trainer meet; none knows the others.
import { ConfigError, type Task } from '@masksearch/core';
import {
  dapo,
  dapoRecipe,
  grpoRecipe,
  linearSchedule,
  warmUpSchedule,
  type MetricsRow,
  type Recipe,
  type Schedule,
} from '@masksearch/train';
import type { RunConfig } from '../config/run-config.ts';
import type { RunContext } from '../run/run-folder.ts';
import { runStage, type StageOutcome, type StageResult, type StageWork } from '../run/run-stage.ts';
import { groupCollector } from './collect.ts';
import { openConversation } from './conversation.ts';
import { episodeInputs, episodeSettings } from './episode-settings.ts';
import { executionSettings, modelInputs } from './model-source.ts';
import { readTasks } from './read-tasks.ts';
import { withSearch, type SearchSource } from './search-source.ts';
import { divideTasks } from './teacher-share.ts';
import { trainCheckpoint } from './train-checkpoint.ts';

export async function rlStage(run: RunContext, config: RunConfig): Promise<StageOutcome> {
  const { concurrency: _, ...rl } = config.rl;
  return runStage(run, {
    name: 'rl',
    config: {
      rl,
      ...(rl.unseenTasks ? { share: config.trajectories.share } : {}),
      reward: config.reward,
      ...executionSettings(config),
      ...episodeSettings(config),
    },
    inputs: {
      ...(await episodeInputs(run, config)),
      ...(await modelInputs(run, config, 'sft')),
    },
    resumable: true,
    execute: (work) =>
      withSearch({ run, config, side: 'train' }, (source) => trainRl(run, config, work, source)),
  });
}

function trainRl(
  run: RunContext,
  config: RunConfig,
  work: StageWork,
  { search, setProgress }: SearchSource,
): Promise<StageResult> {
  const { rl } = config;
  const progress = work.progress('steps');
  return trainCheckpoint({
    run,
    config,
    work,
    from: 'sft',
    lora: config.rl.lora,
    memory: {
      batchTokens: rl.microBatchTokens,
      sequences: rl.concurrency,
      contextTokens: config.model.maxPositions,
    },
    train: async ({ model, checkpoints, metrics }) => {
      const conversation = openConversation(run, config);
      const collect = groupCollector({ model, conversation, config, search, seed: run.seed });
      const { stopped, ...counts } = await dapo({
        model,
        tasks: tasksToTrain(await readTasks(run, 'train'), config),
        collect: (requests, options) => {
          setProgress(options.version / (rl.steps * rl.miniBatches));
          return collect(requests, options);
        },
        recipe: recipeOf(rl),
        curriculum: rl.curriculum,
        config: dapoConfigOf(rl, run.seed),
        schedule: scheduleOf(rl),
        adamW: { weightDecay: rl.weightDecay, maxGradientNorm: rl.maxGradientNorm },
        checkpoints: { folder: checkpoints, everySteps: rl.checkpointEvery },
        metrics,
        signal: work.signal,
        onStep: (row) => progress.update(Number(row['step']), rl.steps, noteOf(row)),
      });
      return { stopped, counts };
    },
  });
}

type RlConfig = RunConfig['rl'];

/** Tasks of the groups that the curriculum names, all without one; unseen ones only, if so configured. */
function tasksToTrain(
  tasks: readonly Task[],
  { rl: { curriculum, unseenTasks }, trajectories: { share } }: RunConfig,
): readonly Task[] {
  const groups = new Set(curriculum.flatMap((phase) => phase.groups));
  const chosen = tasks.filter(({ group }) => groups.size === 0 || groups.has(group));
  if (!unseenTasks) return chosen;
  const { unseen } = divideTasks(chosen, share);
  if (unseen.length > 0) return unseen;
  throw new ConfigError(
    `rl.unseenTasks: expected tasks that the teacher did not play, found none; set trajectories.share below 1 (it is ${share}).`,
  );
}

function recipeOf({ recipe, clipLow, clipHigh, dualClip, ...rl }: RlConfig): Recipe {
  const shared = {
    entropyCoefficient: rl.entropyCoefficient,
    ...(dualClip === null ? {} : { dualClip }),
  };
  switch (recipe) {
    case 'dapo':
      return dapoRecipe({
        ...shared,
        clip: { low: clipLow, high: clipHigh },
        filter: rl.filter,
        maximumRounds: rl.maximumRounds,
      });
    case 'grpo':
      return grpoRecipe({ ...shared, clip: clipLow });
    default:
      return recipe satisfies never;
  }
}

function scheduleOf({
  learningRate: peak,
  finalLearningRate: floor,
  warmUpSteps,
}: RlConfig): Schedule {
  const warmUp = { peak, warmUpSteps };
  return floor === null ? warmUpSchedule(warmUp) : linearSchedule({ ...warmUp, floor });
}

function dapoConfigOf(rl: RlConfig, seed: number) {
  const { steps, samplesPerTask, groupsPerStep, miniBatches, microBatchTokens } = rl;
  const { maximumLagSteps, overlongFiltering, truncatedImportance } = rl;
  const { klCoefficient, displacementCoefficient } = rl;
  return {
    seed,
    steps,
    samplesPerTask,
    groupsPerStep,
    miniBatches,
    microBatchTokens,
    maximumLagSteps,
    overlongFiltering,
    klCoefficient,
    displacementCoefficient,
    ...(truncatedImportance === null ? {} : { truncatedImportance }),
  };
}

function noteOf(row: MetricsRow): string {
  const score = Number(row['critic/score/mean'] ?? row['reward'] ?? Number.NaN);
  return Number.isNaN(score) ? '' : `outcome ${score.toFixed(3)}`;
}
