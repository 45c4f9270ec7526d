// A run: one folder, one seed, and the stages in it. Says where things are; does no work itself.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { InputError, readManifest, removeUnfinished } from '@masksearch/core';

export type StageName =
  | 'corpus'
  | 'index'
  | 'tasks'
  | 'trajectories'
  | 'base'
  | 'sft'
  | 'rollouts'
  | 'rl'
  | 'evaluation'
  | 'report';

/** What a stage may use of its surroundings. */
export interface RunContext {
  /** The run folder; every stage has a folder of its own in it. */
  readonly folder: string;
  readonly seed: number;
  /** Does a stage again although nothing changed. */
  readonly fresh: boolean;
  /** Fires on Ctrl-C: stages save what can be resumed and throw a CancelledError. */
  readonly signal: AbortSignal;
  /** One line for the person watching. */
  readonly say: (line: string) => unknown;
}

export function stageFolder(run: Pick<RunContext, 'folder'>, stage: StageName): string {
  return join(run.folder, stage);
}

/**
 * Path of a file that an earlier stage wrote.
 * @throws {InputError} the stage has not finished; the message names the command.
 */
export function stageFile(run: Pick<RunContext, 'folder'>, stage: StageName, file: string): string {
  requireStage(run, stage);
  const path = join(stageFolder(run, stage), file);
  if (!existsSync(path)) {
    throw new InputError(
      `${path}: expected a file of stage ${stage}, found none; run \`masksearch ${stage} --fresh\`.`,
    );
  }
  return path;
}

/** Hashes of everything a finished stage wrote, keyed `stage/file`. @throws {InputError} it has not finished. */
export function stageOutputs(
  run: Pick<RunContext, 'folder'>,
  stage: StageName,
): Record<string, string> {
  requireStage(run, stage);
  const { outputs } = readManifest(stageFolder(run, stage));
  return Object.fromEntries(
    Object.entries(outputs).map(([file, hash]) => [`${stage}/${file}`, hash]),
  );
}

export function isFinished(run: Pick<RunContext, 'folder'>, stage: StageName): boolean {
  return existsSync(join(stageFolder(run, stage), 'manifest.json'));
}

function requireStage(run: Pick<RunContext, 'folder'>, stage: StageName): void {
  if (isFinished(run, stage)) return;
  throw new InputError(
    `${stageFolder(run, stage)}: expected the finished stage ${stage}, found none; run \`masksearch ${stage} --run ${run.folder}\` first.`,
  );
}

/** Creates the run folder and clears what a killed stage may have left half written. */
export function prepareRunFolder(folder: string): void {
  mkdirSync(folder, { recursive: true });
  removeUnfinished(folder);
}

/** sha256 of a JSON value whose objects are compared without regard to key order. */
export function hashJson(value: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(sorted(value)))
    .digest('hex');
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}
