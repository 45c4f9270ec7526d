// The base model: the stages up to sft under a configuration of its own, and the result put where runs can find it.
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { writeFolderAtomic } from '@masksearch/core';
import type { RunConfig } from '../config/run-config.ts';
import { stageFolder, type RunContext } from '../run/run-folder.ts';
import type { StageOutcome } from '../run/run-stage.ts';
import { runStagesUpTo } from './run-all.ts';

/** Trains the base model and exports it to `output`, a folder for `model.from`. */
export async function exportBase(
  run: RunContext,
  config: RunConfig,
  output: string,
): Promise<StageOutcome[]> {
  const outcomes = await runStagesUpTo(run, config, 'sft');
  const model = join(stageFolder(run, 'sft'), 'model');
  await writeFolderAtomic(output, (folder) => cpSync(model, folder, { recursive: true }));
  run.say(`base: ${output}`);
  return outcomes;
}
