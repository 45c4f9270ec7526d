// Stage trajectories with language models as teachers: the tasks in shards, any number of workers, one merged result.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseRecord, trajectorySchema, UnavailableError } from '@masksearch/core';
import { PartFiles, planShards, type Shard } from '@masksearch/queue';
import { z } from 'zod';
import type { RunConfig } from '../config/run-config.ts';
import type { RunContext } from '../run/run-folder.ts';
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
import { usedNames } from '../synthesis/role-models.ts';
import { startWorkers } from '../synthesis/worker-processes.ts';
import { conversationInputs } from './conversation.ts';
import { episodeInputs, episodeSettings } from './episode-settings.ts';
import { TrajectoryFiles } from './trajectory-files.ts';

export async function synthesisStage(run: RunContext, config: RunConfig): Promise<StageOutcome> {
  const { evaluationFiles } = config.synthesis;
  const hashes = await Promise.all(
    evaluationFiles.map(async (file) => [file, await hashPath(file)]),
  );
  return runStage(run, {
    name: 'trajectories',
    config: { synthesis: synthesisSettings(config), ...episodeSettings(config) },
    inputs: {
      ...(await episodeInputs(run, config)),
      ...(await conversationInputs(config)),
      ...Object.fromEntries(hashes),
      ...(await localModelInputs(config)),
    },
    resumable: true,
    execute: (work) => synthesizeTasks(run, config, work),
  });
}

/** Hashes of the model folders that play a role. */
async function localModelInputs({ synthesis }: RunConfig): Promise<Record<string, string>> {
  const used = [...usedNames(synthesis)].flatMap((name) => synthesis.models[name]?.folder ?? []);
  return Object.fromEntries(
    await Promise.all(used.map(async (folder) => [folder, await hashPath(folder)] as const)),
  );
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

/** Puts the shards' results together in the order of the tasks. @returns how many of what. */
function mergeParts(folder: string, shards: readonly Shard[]): Readonly<Record<string, number>> {
  const files = new TrajectoryFiles(folder);
  const samplesSchema = z.array(trajectorySchema);
  for (const { index, record } of new PartFiles(join(folder, PARTS_FOLDER)).merge(shards)) {
    const samples = parseRecord(samplesSchema, record, `result of task ${index + 1}`);
    for (const trajectory of samples) files.write(trajectory);
  }
  files.close();
  return files.counts;
}
