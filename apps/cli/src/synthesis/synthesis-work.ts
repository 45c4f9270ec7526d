// The work of synthesis as shards in a queue: what the stage and every further worker do.
import { join } from 'node:path';
import {
  playAndJudge,
  resolveEpisodeConfig,
  resolveSynthesisConfig,
  synthesisConfigSchema,
  synthesize,
} from '@masksearch/agent';
import type { CostReport } from '@masksearch/chat';
import { parseRecord, taskSchema, type Task, type Trajectory } from '@masksearch/core';
import { runWorker, SqliteQueue, type WorkQueue } from '@masksearch/queue';
import type { SearchTool } from '@masksearch/search';
import type { RunConfig } from '../config/run-config.ts';
import { hashJson, stageFile, type RunContext } from '../run/run-folder.ts';
import { openConversation } from '../stages/conversation.ts';
import { withSearch } from '../stages/search-source.ts';
import { withoutClock } from '../stages/without-clock.ts';
import { contaminationTest } from './contamination.ts';
import { openRoleModels } from './role-models.ts';

export const QUEUE_FILE = 'queue.sqlite';
export const PARTS_FOLDER = 'parts';

/** What every worker of one synthesis shares. */
export interface SynthesisJob {
  readonly run: RunContext;
  readonly config: RunConfig;
  /** Working folder of the stage. */
  readonly folder: string;
}

export function itemsFile(run: RunContext): string {
  return stageFile(run, 'tasks', 'train.jsonl');
}

/** @throws {UnavailableError} no Redis answers. */
export async function openQueue({ run, config, folder }: SynthesisJob): Promise<WorkQueue> {
  const { redis, leaseSeconds } = config.synthesis;
  const leaseMs = leaseSeconds * 1000;
  if (redis === null) return new SqliteQueue(join(folder, QUEUE_FILE), { leaseMs });
  const { RedisQueue } = await import('@masksearch/queue/redis');
  const key = hashJson({ folder: run.folder, seed: run.seed, config: synthesisSettings(config) });
  return RedisQueue.connect({
    url: redis,
    leaseMs,
    name: `masksearch-${key.slice(0, 16)}`,
    passwordVariable: 'MASKSEARCH_REDIS_PASSWORD',
  });
}

/** Takes shards until all are done. @returns what the calls of this process cost. */
export async function workOnSynthesis(
  job: SynthesisJob,
  queue: WorkQueue,
  onTask: () => unknown = () => undefined,
): Promise<CostReport> {
  const { run, config, folder } = job;
  const { samplesPerTask, concurrency } = config.synthesis;
  const shared = {
    ...openConversation(run, config),
    episode: resolveEpisodeConfig(config.episode),
    synthesis: resolveSynthesisConfig(pickSynthesis(config)),
    seed: run.seed,
    isContaminated: await contaminationTest(run, config),
  };
  const models = await openRoleModels(run.folder, config);
  try {
    const { player } = models;
    const { maxContextTokens } = shared.episode;
    const sampler = player?.samplerFor({ tokenizer: shared.tokenizer, maxContextTokens });
    const make = (task: Task, sample: number, search: SearchTool, signal: AbortSignal) => {
      const roles = models.forTask(task);
      if (player === null || sampler === undefined) {
        return synthesize(task, sample, { ...shared, search, models: roles, signal });
      }
      const { tokenizer, codec, episode, synthesis, isContaminated } = shared;
      return playAndJudge(task, sample, {
        episodes: {
          tokenizer,
          codec,
          sampler,
          search,
          config: { ...episode, temperature: synthesis.temperature, topP: synthesis.topP },
          keyParts: [run.seed, 'synthesis'],
          policyVersion: 0,
        },
        player: player.name,
        judge: roles.judge,
        synthesis,
        isContaminated,
        signal,
      });
    };
    await withSearch({ run, config, side: 'train' }, ({ search }) =>
      runWorker({
        queue,
        items: itemsFile(run),
        parts: join(folder, PARTS_FOLDER),
        concurrency,
        signal: run.signal,
        onRecord: onTask,
        work: async ({ index, line }, signal) => {
          const task = parseRecord(taskSchema, JSON.parse(line), `task ${index + 1}`);
          const samples: Trajectory[] = [];
          for (let sample = 0; sample < samplesPerTask; sample++) {
            const made = await make(task, sample, search, signal);
            samples.push(withoutClock(made));
          }
          return samples;
        },
      }),
    );
    return models.meter.report();
  } finally {
    await models.close();
  }
}

/** What decides the trajectories; limits, prices and the sharing out of the work do not. */
export function synthesisSettings(config: RunConfig): unknown {
  const { endpoints, samplesPerTask, evaluationFiles } = config.synthesis;
  // A role that nobody has changes nothing.
  const roles = Object.fromEntries(
    Object.entries(config.synthesis.roles).filter(([, name]) => name !== null),
  );
  const models = Object.fromEntries(
    Object.entries(endpoints).map(([name, { baseUrl, model, structuredOutput }]) => [
      name,
      { baseUrl, model, structuredOutput },
    ]),
  );
  const local = Object.fromEntries(
    Object.entries(config.synthesis.models).map(([name, { folder }]) => [name, folder]),
  );
  const folders = Object.keys(local).length === 0 ? {} : { local };
  return { models, ...folders, roles, samplesPerTask, evaluationFiles, ...pickSynthesis(config) };
}

/** The keys of the section that the agent knows. */
export function pickSynthesis({ synthesis }: RunConfig): Record<string, unknown> {
  const known = Object.keys(synthesisConfigSchema.shape);
  return Object.fromEntries(Object.entries(synthesis).filter(([key]) => known.includes(key)));
}
