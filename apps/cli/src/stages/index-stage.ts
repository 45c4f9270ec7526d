// Stage index: one BM25 index per side that has passages of its own.
import { join } from 'node:path';
import { buildIndex } from '@masksearch/search';
import type { Passage } from '@masksearch/core';
import type { RunConfig } from '../config/run-config.ts';
import { stageOutputs, type RunContext } from '../run/run-folder.ts';
import { runStage, type StageOutcome, type StageWork } from '../run/run-stage.ts';
import { readPassages, searchedSide, SIDES } from './sides.ts';

export async function indexStage(run: RunContext, config: RunConfig): Promise<StageOutcome> {
  return runStage(run, {
    name: 'index',
    config: config.index,
    inputs: stageOutputs(run, 'corpus'),
    resumable: false,
    execute: async (work) => {
      const counts: Record<string, number> = {};
      for (const side of SIDES) {
        if (searchedSide(run, side) !== side) continue;
        const counted = countPassages(readPassages(run, side), work, (total) => {
          counts[`passages/${side}`] = total;
        });
        await buildIndex(counted, join(work.folder, side), config.index);
      }
      return { counts, device: 'cpu' };
    },
  });
}

async function* countPassages(
  passages: AsyncIterable<Passage>,
  work: StageWork,
  report: (total: number) => void,
): AsyncGenerator<Passage> {
  const progress = work.progress('passages');
  let total = 0;
  for await (const passage of passages) {
    work.signal.throwIfAborted();
    progress.update(++total, undefined);
    yield passage;
  }
  report(total);
}
