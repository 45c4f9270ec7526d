// Stage trajectories: the teacher plays every training task; what the judge refuses is kept apart with the reason.
import { join } from 'node:path';
import { resolveEpisodeConfig, teachAll } from '@masksearch/agent';
import { JsonlWriter, type Trajectory } from '@masksearch/core';
import type { SearchTool } from '@masksearch/search';
import type { RunConfig } from '../config/run-config.ts';
import { stageOutputs, type RunContext } from '../run/run-folder.ts';
import { runStage, type StageOutcome, type StageResult, type StageWork } from '../run/run-stage.ts';
import { conversationConfig, conversationInputs, openConversation } from './conversation.ts';
import { searchInputs, searchSettings, withSearch } from './search-source.ts';
import { divideTasks } from './teacher-share.ts';
import { withoutClock } from './without-clock.ts';
import { readTasks } from './read-tasks.ts';

/** Tasks between two updates of the progress line. */
const CHUNK_TASKS = 128;

export async function trajectoriesStage(run: RunContext, config: RunConfig): Promise<StageOutcome> {
  if (config.trajectories.teacher === 'models') {
    const { synthesisStage } = await import('./synthesis.ts');
    return synthesisStage(run, config);
  }
  return runStage(run, {
    name: 'trajectories',
    // Concurrency changes no result.
    config: {
      episode: config.episode,
      share: config.trajectories.share,
      ...conversationConfig(config),
      ...searchSettings(config),
    },
    inputs: {
      ...stageOutputs(run, 'tasks'),
      ...(await conversationInputs(config)),
      ...(await searchInputs(config)),
    },
    resumable: false,
    execute: (work) =>
      withSearch({ run, config, side: 'train' }, ({ search }) =>
        teachTasks(run, config, work, search),
      ),
  });
}

async function teachTasks(
  run: RunContext,
  config: RunConfig,
  work: StageWork,
  search: SearchTool,
): Promise<StageResult> {
  const { share } = config.trajectories;
  const { played: tasks } = divideTasks(await readTasks(run, 'train'), share);
  const environment = {
    ...openConversation(run, config),
    search,
    config: resolveEpisodeConfig(config.episode),
    concurrency: config.trajectories.concurrency,
    signal: work.signal,
  };
  const progress = work.progress('episodes');
  const kept = new JsonlWriter(join(work.folder, 'trajectories.jsonl'));
  const rejected = new JsonlWriter(join(work.folder, 'rejected.jsonl'));
  const counts: Record<string, number> = {};
  for (let start = 0; start < tasks.length; start += CHUNK_TASKS) {
    const chunk = await teachAll(tasks.slice(start, start + CHUNK_TASKS), environment);
    for (const trajectory of chunk) {
      (trajectory.verdict.accepted ? kept : rejected).write(withoutClock(trajectory));
      const name = countName(trajectory);
      counts[name] = (counts[name] ?? 0) + 1;
    }
    progress.update(start + chunk.length, tasks.length);
  }
  kept.close();
  rejected.close();
  return { counts, device: 'cpu' };
}

function countName({ group, verdict }: Trajectory): string {
  return verdict.accepted ? `kept/${group}` : `rejected/${verdict.reason}`;
}
