// Stage trajectories of a round: the student of the round before plays the fresh tasks, the judge decides, all is merged.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { playAndJudge, resolveEpisodeConfig, resolveSynthesisConfig } from '@masksearch/agent';
import {
  parseRecord,
  readAllJsonl,
  taskSchema,
  trajectorySchema,
  writeJsonl,
  type Trajectory,
} from '@masksearch/core';
import { PartFiles, planShards, runWorker, SqliteQueue, type Shard } from '@masksearch/queue';
import { z } from 'zod';
import type { RunConfig } from '../config/run-config.ts';
import { stageFile, stageOutputs, type RunContext } from '../run/run-folder.ts';
import { runStage, type StageOutcome, type StageResult, type StageWork } from '../run/run-stage.ts';
import { openConversation } from '../stages/conversation.ts';
import { episodeInputs, episodeSettings } from '../stages/episode-settings.ts';
import { executionSettings, modelInputs, openModel } from '../stages/model-source.ts';
import { withSearch } from '../stages/search-source.ts';
import { withoutClock } from '../stages/without-clock.ts';
import { openRoleModels } from '../synthesis/role-models.ts';
import { pickSynthesis, synthesisSettings } from '../synthesis/synthesis-work.ts';
import { mergeTrajectories } from './merge-trajectories.ts';
import { FRESH_FILE } from './round-folder.ts';

const ITEMS_PER_SHARD = 16;

export interface StudentRound {
  /** The run of this round. */
  readonly run: RunContext;
  /** The run of the round before: its model plays, its trajectories stay. */
  readonly before: RunContext;
  readonly round: number;
  readonly config: RunConfig;
}

export async function studentTrajectories(job: StudentRound): Promise<StageOutcome> {
  const { run, before, round, config } = job;
  const { concurrency: _, rounds: _rounds, ...play } = config.evolve;
  const teacher = await modelInputs(before, config, 'sft');
  return runStage(run, {
    name: 'trajectories',
    config: {
      evolve: { ...play, round },
      synthesis: synthesisSettings(config),
      ...executionSettings(config),
      ...episodeSettings(config),
    },
    inputs: {
      ...(await episodeInputs(run, config)),
      ...prefixed('before/', { ...teacher, ...stageOutputs(before, 'trajectories') }),
    },
    resumable: true,
    execute: (work) => playAndMerge(job, work),
  });
}

function prefixed(prefix: string, hashes: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(hashes).map(([name, hash]) => [prefix + name, hash]));
}

async function playAndMerge(job: StudentRound, work: StageWork): Promise<StageResult> {
  const items = stageFile(job.run, 'tasks', FRESH_FILE);
  const shards: Shard[] = [];
  for await (const shard of planShards(items, ITEMS_PER_SHARD)) shards.push(shard);
  const parts = join(work.folder, 'parts');
  const device = await playTasks(job, work, { items, shards, parts });
  const samplesSchema = z.array(trajectorySchema);
  const made = [...new PartFiles(parts).merge(shards)].flatMap(({ index, record }) =>
    parseRecord(samplesSchema, record, `episodes of task ${index + 1}`),
  );
  const kept = made.filter(({ verdict }) => verdict.accepted);
  const rejected = made.filter(({ verdict }) => !verdict.accepted);
  const earlierFile = stageFile(job.before, 'trajectories', 'trajectories.jsonl');
  const { pool, duplicates } = mergeTrajectories(
    await readAllJsonl(earlierFile, trajectorySchema),
    kept,
  );
  writeJsonl(join(work.folder, 'trajectories.jsonl'), pool);
  writeJsonl(join(work.folder, 'rejected.jsonl'), rejected);
  writeJsonl(join(work.folder, 'student.jsonl'), made);
  for (const leftover of ['parts', 'queue.sqlite', 'queue.sqlite-wal', 'queue.sqlite-shm']) {
    rmSync(join(work.folder, leftover), { recursive: true, force: true });
  }
  const counts = { played: made.length, kept: kept.length, duplicates, pool: pool.length };
  return { counts, device };
}

/** A killed round continues: episodes that are recorded are not played again. @returns the device of the student. */
async function playTasks(
  { run, before, round, config }: StudentRound,
  work: StageWork,
  files: { items: string; shards: readonly Shard[]; parts: string },
): Promise<string> {
  const { samplesPerTask, temperature, topP, concurrency } = config.evolve;
  const episode = resolveEpisodeConfig({ ...config.episode, temperature, topP });
  const progress = work.progress('tasks');
  const total = files.shards.reduce((sum, { items }) => sum + items, 0);
  const queue = new SqliteQueue(join(work.folder, 'queue.sqlite'));
  await queue.add(files.shards);
  const model = await openModel(before, config, 'sft');
  const sampler = model.sampler({
    maxSequences: concurrency,
    maxContextTokens: episode.maxContextTokens,
  });
  const judges = await openRoleModels(run.folder, config);
  const synthesis = resolveSynthesisConfig(pickSynthesis(config));
  let done = 0;
  try {
    await withSearch({ run, config, side: 'train' }, ({ search }) => {
      const episodes = {
        ...openConversation(run, config),
        sampler,
        search,
        config: episode,
        keyParts: [run.seed, 'evolve', round],
        policyVersion: model.version,
      };
      return runWorker({
        queue,
        items: files.items,
        parts: files.parts,
        concurrency,
        signal: work.signal,
        onRecord: () => progress.update(++done, total),
        work: async ({ index, line }, signal) => {
          const task = parseRecord(taskSchema, JSON.parse(line), `task ${index + 1}`);
          const samples: Trajectory[] = [];
          for (let sampleIndex = 0; sampleIndex < samplesPerTask; sampleIndex++) {
            const { judge } = judges.forTask(task);
            const made = await playAndJudge(task, sampleIndex, {
              episodes,
              player: `student:round-${round - 1}`,
              judge,
              synthesis,
              signal,
            });
            samples.push(withoutClock(made));
          }
          return samples;
        },
      });
    });
    return model.device;
  } finally {
    await judges.close();
    await sampler.close();
    await model.dispose();
    await queue.close();
  }
}
