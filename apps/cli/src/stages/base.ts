// The base model: a language model of generated articles, trained once and put where runs can start from it.
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { writeFolderAtomic } from '@masksearch/core';
import { cosineSchedule, sft } from '@masksearch/train';
import { baseExamples } from '../base/base-examples.ts';
import type { RunConfig } from '../config/run-config.ts';
import { stageFolder, stageOutputs, type RunContext } from '../run/run-folder.ts';
import { runStage, type StageOutcome, type StageResult, type StageWork } from '../run/run-stage.ts';
import { corpusStage } from './corpus.ts';
import { modelInputs } from './model-source.ts';
import { trainCheckpoint } from './train-checkpoint.ts';

/** Trains the base model with the tokenizer of the run's corpus and exports it to `output`, a folder for `model.from`. */
export async function exportBase(
  run: RunContext,
  config: RunConfig,
  output: string,
): Promise<StageOutcome[]> {
  const outcomes = [await corpusStage(run, config), await baseStage(run, config)];
  const model = join(stageFolder(run, 'base'), 'model');
  await writeFolderAtomic(output, (folder) => cpSync(model, folder, { recursive: true }));
  run.say(`base: ${output}`);
  return outcomes;
}

async function baseStage(run: RunContext, config: RunConfig): Promise<StageOutcome> {
  const { base, model, corpus } = config;
  return runStage(run, {
    name: 'base',
    config: { base, model, passageWords: corpus.passageWords },
    inputs: { ...stageOutputs(run, 'corpus'), ...(await modelInputs(run, config, 'base')) },
    resumable: true,
    execute: (work) => trainBase(run, config, work),
  });
}

function trainBase(run: RunContext, config: RunConfig, work: StageWork): Promise<StageResult> {
  const { base } = config;
  const { weightDecay, maxGradientNorm } = base;
  const progress = work.progress('steps');
  return trainCheckpoint({
    run,
    config,
    work,
    from: 'base',
    memory: { batchTokens: base.batchTokens },
    dtype: 'BF16',
    train: async ({ model, tokenizer, checkpoints, metrics }) => {
      const { passageWords } = config.corpus;
      const generate = baseExamples({ ...base, seed: run.seed, tokenizer, passageWords });
      const { stopped, steps, tokens } = await sft({
        model,
        phases: [{ name: 'base', generate, steps: base.steps }],
        schedule: cosineSchedule({
          peak: base.learningRate,
          floor: base.finalLearningRate,
          warmUpSteps: base.warmUpSteps,
        }),
        batchTokens: base.batchTokens,
        microBatchTokens: base.batchTokens,
        seed: run.seed,
        adamW: { weightDecay, maxGradientNorm },
        checkpoints: { folder: checkpoints, everySteps: base.checkpointEvery },
        metrics,
        signal: work.signal,
        onStep: (row) =>
          progress.update(
            Number(row['step']),
            base.steps,
            `loss ${Number(row['train/loss']).toFixed(3)}`,
          ),
      });
      return { stopped, counts: { steps, tokens } };
    },
  });
}
