// What the training stages have in common: open a model, train it with checkpoints in the stage's folder, save it there.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { CancelledError } from '@masksearch/core';
import type { MemoryUse } from '@masksearch/engine';
import { saveModelFolder, type LanguageModel, type SaveModelOptions } from '@masksearch/model';
import type { Tokenizer } from '@masksearch/tokenizer';
import { pruneCheckpoints } from '@masksearch/train';
import type { LoraSettings } from '../config/learning-sections.ts';
import type { RunConfig } from '../config/run-config.ts';
import type { RunContext } from '../run/run-folder.ts';
import type { StageResult, StageWork } from '../run/run-stage.ts';
import { adapterStart, saveAdapter } from './adapter-start.ts';
import { openModel, weightsFolder, type CheckpointName } from './model-source.ts';
import { readTokenizer } from './read-tokenizer.ts';

export interface Training {
  readonly model: LanguageModel;
  readonly tokenizer: Tokenizer;
  /** Folder for checkpoints; gone when the stage is done. */
  readonly checkpoints: string;
  /** Path of the metrics file. */
  readonly metrics: string;
}

export interface CheckpointJob {
  readonly run: RunContext;
  readonly config: RunConfig;
  readonly work: StageWork;
  /** The weights to start from. */
  readonly from: CheckpointName;
  /** The largest batch and the sampler that memory is planned for. */
  readonly memory: MemoryUse;
  /** How the weights are stored; default F32, which loads back bit for bit. */
  readonly dtype?: SaveModelOptions['dtype'];
  /** Trains an adapter in place of all weights where its rank is not 0. */
  readonly lora?: LoraSettings;
  readonly train: (training: Training) => Promise<{
    /** The signal ended the training before its last step. */
    readonly stopped: boolean;
    readonly counts: Readonly<Record<string, number>>;
  }>;
}

/** Trains and leaves `model/` in the stage's folder. @throws {CancelledError} stopped; the checkpoints stay. */
export async function trainCheckpoint(job: CheckpointJob): Promise<StageResult> {
  const { run, config, work, from, memory, dtype, lora } = job;
  const adapter = lora && adapterStart(lora, run.seed);
  const tokenizer = readTokenizer(run, config);
  const use = adapter === undefined ? memory : { ...memory, lora: adapter.config };
  const planned = { use, say: run.say };
  const model = await openModel(run, config, from, planned, adapter);
  const source = weightsFolder(run, config, from);
  const checkpoints = join(work.folder, 'checkpoints');
  const metrics = join(work.folder, 'metrics.jsonl');
  try {
    const { stopped, counts } = await job.train({ model, tokenizer, checkpoints, metrics });
    if (stopped) throw new CancelledError('training: stopped; its last checkpoint is kept.');
    await saveModelFolder(join(work.folder, 'model'), model, {
      tokenizerJson: tokenizer.serialize(),
      // Chat template, generation settings and the like stay with the model.
      ...(source === null ? {} : { from: source }),
      ...(dtype === undefined ? {} : { dtype }),
    });
    await saveAdapter(work.folder, model, source);
    // The weights are in place: what only resumption needs can go, none of it half, whenever a kill comes.
    pruneCheckpoints(checkpoints, 0);
    rmSync(checkpoints, { recursive: true, force: true });
    return { counts, device: model.device };
  } finally {
    await model.dispose();
  }
}
