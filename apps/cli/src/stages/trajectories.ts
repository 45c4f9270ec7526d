// Stage trajectories: the teacher plays every training task; what the judge refuses is kept apart with the reason.
import { resolveEpisodeConfig, teachAll } from '@masksearch/agent';
import type { SearchTool } from '@masksearch/search';
import type { RunConfig } from '../config/run-config.ts';
import type { RunContext } from '../run/run-folder.ts';
import { runStage, type StageOutcome, type StageResult, type StageWork } from '../run/run-stage.ts';
import { conversationInputs, openConversation } from './conversation.ts';
import { episodeInputs, episodeSettings } from './episode-settings.ts';
import { readTasks } from './read-tasks.ts';
import { withSearch } from './search-source.ts';
import { divideTasks } from './teacher-share.ts';
import { TrajectoryFiles } from './trajectory-files.ts';
import { withoutClock } from './without-clock.ts';

/** Tasks between two updates of the progress line. */
const CHUNK_TASKS = 128;

export async function trajectoriesStage(run: RunContext, config: RunConfig): Promise<StageOutcome> {
  if (config.trajectories.teacher === 'models') {
    const { synthesisStage } = await import('./synthesis.ts');
    return synthesisStage(run, config);
  }
  return runStage(run, {
    name: 'trajectories',
    config: { ...teacherSettings(config), ...episodeSettings(config) },
    inputs: { ...(await episodeInputs(run, config)), ...(await conversationInputs(config)) },
    resumable: false,
    execute: (work) =>
      withSearch({ run, config, side: 'train' }, ({ search }) =>
        teachTasks(run, config, work, search),
      ),
  });
}

function teacherSettings({ trajectories }: RunConfig) {
  const { share, queryOrder } = trajectories;
  return { share, queryOrder };
}

async function teachTasks(
  run: RunContext,
  config: RunConfig,
  work: StageWork,
  search: SearchTool,
): Promise<StageResult> {
  const { share, queryOrder, concurrency } = config.trajectories;
  const { played: tasks } = divideTasks(await readTasks(run, 'train'), share);
  const environment = {
    ...openConversation(run, config),
    search,
    config: resolveEpisodeConfig(config.episode),
    ...(queryOrder === 'drawn' ? { querySeed: work.seed } : {}),
    concurrency,
    signal: work.signal,
  };
  const progress = work.progress('episodes');
  const files = new TrajectoryFiles(work.folder);
  for (let start = 0; start < tasks.length; start += CHUNK_TASKS) {
    const chunk = await teachAll(tasks.slice(start, start + CHUNK_TASKS), environment);
    for (const trajectory of chunk) files.write(withoutClock(trajectory));
    progress.update(start + chunk.length, tasks.length);
  }
  files.close();
  return { counts: files.counts, device: 'cpu' };
}
