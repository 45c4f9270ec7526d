// Stage trajectories with language models as teachers: the tasks in shards, any number of workers, one merged result.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { JsonlWriter, parseRecord, trajectorySchema, UnavailableError } from '@masksearch/core';
import { PartFiles, planShards, type Shard } from '@masksearch/queue';
import { z } from 'zod';
import type { RunConfig } from '../config/run-config.ts';
import { stageOutputs, type RunContext } from '../run/run-folder.ts';
import { hashPath } from '../run/hash-path.ts';
import { runStage, type StageOutcome, type StageResult, type StageWork } from '../run/run-stage.ts';
import {
  itemsFile,
  openQueue,
  PARTS_FOLDER,
  QUEUE_FILE,
  synthesisSettings,
  workOnSynthesis,
} from '../synthesis/synthesis-work.ts';
import { startWorkers } from '../synthesis/worker-processes.ts';
import { conversationConfig, conversationInputs } from './conversation.ts';
import { searchInputs, searchSettings } from './search-source.ts';

export async function synthesisStage(run: RunContext, config: RunConfig): Promise<StageOutcome> {
  const { evaluationFiles } = config.synthesis;
  const hashes = await Promise.all(
    evaluationFiles.map(async (file) => [file, await hashPath(file)]),
  );
  return runStage(run, {
    name: 'trajectories',
    config: {
      synthesis: synthesisSettings(config),
      episode: config.episode,
      ...conversationConfig(config),
      ...searchSettings(config),
    },
    inputs: {
      ...stageOutputs(run, 'tasks'),
      ...(await conversationInputs(config)),
      ...(await searchInputs(config)),
      ...Object.fromEntries(hashes),
    },
    resumable: true,
    execute: (work) => synthesizeTasks(run, config, work),
  });
}

async function synthesizeTasks(
  run: RunContext,
  config: RunConfig,
  work: StageWork,
): Promise<StageResult> {
  const job = { run, config, folder: work.folder };
  const { itemsPerShard, processes } = config.synthesis;
  const shards: Shard[] = [];
  for await (const shard of planShards(itemsFile(run), itemsPerShard)) shards.push(shard);
  const queue = await openQueue(job);
  try {
    await queue.add(shards);
    const tasks = shards.reduce((sum, { items }) => sum + items, 0);
    const progress = work.progress('tasks');
    const others = startWorkers(run.folder, processes - 1);
    let done = 0;
    try {
      const cost = await workOnSynthesis(job, queue, () => progress.update(++done, tasks));
      await others.done;
      const calls = `${cost.calls} calls, ${cost.cached} from the cache`;
      run.say(`trajectories: ${calls}, $${cost.usd.toFixed(4)} in this process`);
    } finally {
      others.stop();
    }
    const { failed } = await queue.counts();
    if (failed > 0) {
      throw new UnavailableError(
        `trajectories: expected every shard to be done, ${failed} made their workers die again and again; see the workers' output.`,
      );
    }
  } finally {
    await queue.close();
  }
  const counts = mergeParts(work.folder, shards);
  for (const file of [QUEUE_FILE, `${QUEUE_FILE}-wal`, `${QUEUE_FILE}-shm`, PARTS_FOLDER]) {
    rmSync(join(work.folder, file), { recursive: true, force: true });
  }
  return { counts, device: 'endpoints' };
}

/** Writes kept and rejected trajectories apart, in the order of the tasks. @returns how many of what. */
function mergeParts(folder: string, shards: readonly Shard[]): Record<string, number> {
  const files = ['trajectories.jsonl', 'rejected.jsonl'].map((name) => join(folder, name));
  // What an earlier life may have left half merged.
  for (const file of files) rmSync(file, { force: true });
  const [kept, rejected] = files.map((file) => new JsonlWriter(file));
  const samplesSchema = z.array(trajectorySchema);
  const counts: Record<string, number> = {};
  for (const { index, record } of new PartFiles(join(folder, PARTS_FOLDER)).merge(shards)) {
    for (const trajectory of parseRecord(samplesSchema, record, `result of task ${index + 1}`)) {
      const { accepted, reason } = trajectory.verdict;
      (accepted ? kept : rejected)?.write(trajectory);
      const name = accepted ? `kept/${trajectory.group}` : `rejected/${reason}`;
      counts[name] = (counts[name] ?? 0) + 1;
    }
  }
  kept?.close();
  rejected?.close();
  return counts;
}
