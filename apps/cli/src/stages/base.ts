// The base model: a language model of generated articles, trained once and put where runs can start from it.
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { CancelledError, writeFolderAtomic } from '@masksearch/core';
import { saveModelFolder } from '@masksearch/model';
import { cosineSchedule, sft } from '@masksearch/train';
import { baseExamples } from '../base/base-examples.ts';
import type { RunConfig } from '../config/run-config.ts';
import { stageFolder, stageOutputs, type RunContext } from '../run/run-folder.ts';
import { runStage, type StageOutcome, type StageWork } from '../run/run-stage.ts';
import { corpusStage } from './corpus.ts';
import { modelInputs, openModel, readTokenizer } from './model-source.ts';

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

async function trainBase(run: RunContext, config: RunConfig, work: StageWork) {
  const { base, corpus } = config;
  const tokenizer = readTokenizer(run);
  const model = await openModel(run, config, 'base');
  const checkpoints = join(work.folder, 'checkpoints');
  const progress = work.progress('steps');
  try {
    const result = await sft({
      model,
      phases: [
        {
          name: 'base',
          generate: baseExamples({
            ...base,
            seed: run.seed,
            tokenizer,
            passageWords: corpus.passageWords,
          }),
          steps: base.steps,
        },
      ],
      schedule: cosineSchedule({
        peak: base.learningRate,
        floor: base.finalLearningRate,
        warmUpSteps: base.warmUpSteps,
      }),
      batchTokens: base.batchTokens,
      microBatchTokens: base.batchTokens,
      seed: run.seed,
      adamW: { weightDecay: base.weightDecay, maxGradientNorm: base.maxGradientNorm },
      checkpoints: { folder: checkpoints, everySteps: base.checkpointEvery },
      metrics: join(work.folder, 'metrics.jsonl'),
      signal: work.signal,
      onStep: (row) =>
        progress.update(
          Number(row['step']),
          base.steps,
          `loss ${Number(row['train/loss']).toFixed(3)}`,
        ),
    });
    if (result.stopped) {
      throw new CancelledError(`base: stopped at step ${result.steps} of ${result.totalSteps}.`);
    }
    await saveModelFolder(join(work.folder, 'model'), model, {
      tokenizerJson: tokenizer.serialize(),
      dtype: 'BF16',
    });
    rmSync(checkpoints, { recursive: true, force: true });
    const { steps, tokens } = result;
    return { counts: { steps, tokens }, device: model.device };
  } finally {
    await model.dispose();
  }
}
