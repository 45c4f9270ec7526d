// Stage evaluation: every checkpoint plays the held-out tasks, with its search tool and with random passages.
import { join } from 'node:path';
import { resolveEpisodeConfig, runEpisode, type Episode } from '@masksearch/agent';
import { JsonlWriter, writeFileAtomic, writeJsonl, type Task } from '@masksearch/core';
import {
  DEFAULT_OUTCOME_GROUPS,
  evaluate,
  overallOutcome,
  summarizeEvaluation,
  type EvaluatedTask,
  type EvaluationRecord,
  type ReportTrajectory,
} from '@masksearch/evaluation';
import type { LanguageModel } from '@masksearch/model';
import type { SearchTool } from '@masksearch/search';
import type { RunConfig } from '../config/run-config.ts';
import type { RunContext } from '../run/run-folder.ts';
import { runStage, type StageOutcome, type StageWork } from '../run/run-stage.ts';
import { openConversation } from './conversation.ts';
import { episodeInputs, episodeSettings } from './episode-settings.ts';
import { firstOfEachGroup } from './first-of-each-group.ts';
import { executionSettings, modelInputs, openModel, type CheckpointName } from './model-source.ts';
import { readTasks } from './read-tasks.ts';
import { withSearch, type SearchSource } from './search-source.ts';

export async function evaluationStage(run: RunContext, config: RunConfig): Promise<StageOutcome> {
  const { concurrency: _, ...evaluation } = config.evaluation;
  const inputs = await Promise.all(
    evaluation.checkpoints.map((name) => modelInputs(run, config, name)),
  );
  return runStage(run, {
    name: 'evaluation',
    config: {
      evaluation,
      ...executionSettings(config),
      examples: config.report.episodes,
      ...episodeSettings(config),
    },
    inputs: Object.assign(await episodeInputs(run, config), ...inputs),
    resumable: false,
    execute: async (work) => {
      const tasks = await readTasks(run, 'heldout');
      const counts: Record<string, number> = {};
      const records: Record<string, EvaluationRecord> = {};
      let device = '';
      for (const name of evaluation.checkpoints) {
        const model = await openModel(run, config, name);
        try {
          records[name] = await withSearch({ run, config, side: 'heldout' }, (source) =>
            evaluateCheckpoint({ run, config, work, model, name, tasks, source }),
          );
          device = model.device;
        } finally {
          await model.dispose();
        }
        counts[`tasks/${name}`] = firstOfEachGroup(tasks, evaluation.tasksPerGroup).length;
      }
      writeFileAtomic(
        join(work.folder, 'evaluation.json'),
        `${JSON.stringify(records, null, 2)}\n`,
      );
      return { counts, device };
    },
  });
}

interface CheckpointEvaluation {
  readonly run: RunContext;
  readonly config: RunConfig;
  readonly work: StageWork;
  readonly model: LanguageModel;
  readonly name: CheckpointName;
  readonly tasks: readonly Task[];
  readonly source: SearchSource;
}

async function evaluateCheckpoint(job: CheckpointEvaluation): Promise<EvaluationRecord> {
  const { run, config, work, name, tasks, source } = job;
  const { tasksPerGroup, randomTasksPerGroup, resamples } = config.evaluation;
  const played = firstOfEachGroup(tasks, tasksPerGroup);
  const examples = new Set(firstOfEachGroup(tasks, config.report.episodes));
  const episodes = new JsonlWriter(join(work.folder, `${name}-episodes.jsonl`));
  const rows = await play(job, played, source.search, `${name}`);
  writeJsonl(join(work.folder, `${name}.jsonl`), rows.scored);
  for (const [i, episode] of rows.episodes.entries()) {
    const [task, row] = [played[i], rows.scored[i]];
    if (task && row && examples.has(task)) episodes.write(exampleOf(name, task, episode, row));
  }
  episodes.close();
  const options = { seed: run.seed, resamples };
  const record = summarizeEvaluation(rows.scored, options);
  if (randomTasksPerGroup === 0) return record;
  const controls = firstOfEachGroup(played, randomTasksPerGroup).filter(({ group }) =>
    DEFAULT_OUTCOME_GROUPS.includes(group),
  );
  const random = await play(job, controls, source.random(), `${name}, random passages`);
  const outcome = overallOutcome(random.scored, DEFAULT_OUTCOME_GROUPS, options);
  return { ...record, randomRetrieval: { outcome } };
}

/** What the report shows of an episode. */
function exampleOf(
  stage: string,
  task: Task,
  { messages, answer, finishReason }: Episode,
  { outcome }: EvaluatedTask,
): ReportTrajectory {
  const reason = finishReason === 'answer' ? 'wrong answer' : finishReason;
  const verdict = outcome === 1 ? { accepted: true, reason: 'right' } : { accepted: false, reason };
  return { stage, task, messages, answer, verdict };
}

/** Plays the tasks once each; episodes are in the order of the tasks. */
async function play(
  { run, config, work, model }: CheckpointEvaluation,
  tasks: readonly Task[],
  search: SearchTool,
  note: string,
): Promise<{ scored: EvaluatedTask[]; episodes: Episode[] }> {
  const { concurrency, temperature, topP } = config.evaluation;
  const episodeConfig = resolveEpisodeConfig({ ...config.episode, temperature, topP });
  const conversation = openConversation(run, config);
  const progress = work.progress('episodes');
  const sampler = model.sampler({
    maxSequences: concurrency,
    maxContextTokens: episodeConfig.maxContextTokens,
  });
  const episodes: Episode[] = [];
  try {
    const scored = await evaluate({
      tasks,
      concurrency,
      signal: work.signal,
      onProgress: ({ done, total }) => progress.update(done, total, note),
      runEpisode: async (task, index) => {
        const episode = await runEpisode({
          task,
          sampleIndex: 0,
          ...conversation,
          sampler,
          search,
          config: episodeConfig,
          keyParts: [run.seed, 'evaluation'],
          policyVersion: model.version,
          signal: work.signal,
        });
        episodes[index] = episode;
        return {
          answer: episode.answer,
          finishReason: episode.finishReason,
          searches: episode.searches.length,
          policyTokens: episode.mask.reduce((sum, bit) => sum + bit, 0),
        };
      },
    });
    return { scored, episodes };
  } finally {
    await sampler.close();
    progress.close();
  }
}
