// Stage rollouts: episodes of a checkpoint with their rewards, for inspection and for other tools.
import { join } from 'node:path';
import { resolveEpisodeConfig, runEpisodes } from '@masksearch/agent';
import { writeJsonl } from '@masksearch/core';
import type { SearchTool } from '@masksearch/search';
import type { RunConfig } from '../config/run-config.ts';
import type { RunContext } from '../run/run-folder.ts';
import { runStage, type StageOutcome, type StageResult, type StageWork } from '../run/run-stage.ts';
import { openConversation } from './conversation.ts';
import { episodeInputs, episodeSettings } from './episode-settings.ts';
import { executionSettings, modelInputs, openModel } from './model-source.ts';
import { readTasks } from './read-tasks.ts';
import { episodeScorer } from './scoring.ts';
import { withSearch } from './search-source.ts';

export async function rolloutsStage(run: RunContext, config: RunConfig): Promise<StageOutcome> {
  const { concurrency: _, ...rollouts } = config.rollouts;
  return runStage(run, {
    name: 'rollouts',
    config: {
      rollouts,
      reward: config.reward,
      ...executionSettings(config),
      ...episodeSettings(config),
    },
    inputs: {
      ...(await episodeInputs(run, config)),
      ...(await modelInputs(run, config, rollouts.checkpoint)),
    },
    resumable: false,
    execute: (work) =>
      withSearch({ run, config, side: 'train' }, ({ search }) =>
        rollOut(run, config, work, search),
      ),
  });
}

async function rollOut(
  run: RunContext,
  config: RunConfig,
  work: StageWork,
  search: SearchTool,
): Promise<StageResult> {
  const { concurrency, ...rollouts } = config.rollouts;
  const { checkpoint, samples, temperature, topP } = rollouts;
  const model = await openModel(run, config, checkpoint);
  const episode = resolveEpisodeConfig({ ...config.episode, temperature, topP });
  const tasks = (await readTasks(run, 'train')).slice(0, rollouts.tasks);
  const progress = work.progress('episodes');
  let done = 0;
  const sampler = model.sampler({
    maxSequences: concurrency,
    maxContextTokens: episode.maxContextTokens,
  });
  try {
    const scored = await runEpisodes({
      tasks,
      samplesPerTask: samples,
      concurrency,
      ...openConversation(run, config),
      sampler,
      search,
      config: episode,
      keyParts: [run.seed, 'rollouts'],
      policyVersion: model.version,
      score: episodeScorer(config),
      signal: work.signal,
      onEpisode: () => progress.update(++done, tasks.length * samples),
    });
    const rows = scored.map(({ sample }) => sample);
    writeJsonl(join(work.folder, 'samples.jsonl'), rows);
    const right = rows.filter(({ outcome }) => outcome === 1).length;
    return { counts: { samples: rows.length, right }, device: model.device };
  } finally {
    await sampler.close();
    await model.dispose();
  }
}
