// Checkpoints: one folder per saved step, complete or absent, with a checksum of every file.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z, type ZodType } from 'zod';
import {
  IntegrityError,
  hashFile,
  parseRecord,
  writeFileAtomic,
  writeFolderAtomic,
} from '@masksearch/core';
import {
  SafetensorsFile,
  sourceOf,
  STATE_PARTS,
  trainedSpecs,
  writeSafetensorsPieces,
  type LanguageModel,
  type Pieces,
  type RestorableState,
  type StatePart,
  type TensorShape,
  type WeightSource,
} from '@masksearch/model';

const STEP_FOLDER = /^step-(\d{6,})$/;
const TEMPORARY_FOLDER = /^step-\d{6,}\.(tmp|old)-/;
const PARTS: Readonly<Record<StatePart, string>> = {
  weights: 'model.safetensors',
  firstMoments: 'first-moments.safetensors',
  secondMoments: 'second-moments.safetensors',
};
const STATE = 'state.json';
const MANIFEST = 'manifest.json';
/** What to do about a checkpoint that cannot be used. */
const RETREAT = 'delete this step-… folder to resume from the checkpoint before it';

const manifestSchema = z.strictObject({
  version: z.literal(1),
  /** File name → sha256. */
  files: z.record(z.string(), z.string()),
});

const envelopeSchema = z.strictObject({
  version: z.literal(1),
  modelVersion: z.int().min(0),
  state: z.unknown(),
});

/** What a checkpoint is made from. What it holds besides tensors is up to the trainer: any JSON value. */
export interface NewCheckpoint<State> {
  /** Not stepped while it is saved. */
  readonly model: Pick<LanguageModel, 'config' | 'adapter' | 'version' | 'state' | 'statePieces'>;
  readonly state: State;
}

/** A checkpoint whose tensors are read when asked for. Close it when the model is restored. */
export interface Checkpoint<State> {
  readonly model: RestorableState;
  readonly state: State;
  readonly close: () => void;
}

/** Name of the folder of a step; sorts by step. */
export function checkpointName(step: number): string {
  return `step-${String(step).padStart(6, '0')}`;
}

/**
 * Writes `folder/step-NNNNNN` in one rename.
 *
 * @param extraFiles Text files to put beside it (config.json, tokenizer.json), by name, so that the
 *                   folder also loads as a model.
 */
export async function saveCheckpoint(
  folder: string,
  step: number,
  { model, state }: NewCheckpoint<unknown>,
  extraFiles: Readonly<Record<string, string>> = {},
): Promise<void> {
  await writeFolderAtomic(join(folder, checkpointName(step)), async (path) => {
    const tensorsOf = await stateReader(model);
    for (const part of STATE_PARTS) {
      const { shapes, pieces } = tensorsOf(part);
      await writeSafetensorsPieces(join(path, PARTS[part]), shapes, 'F32', pieces);
    }
    const envelope = { version: 1, modelVersion: model.version, state };
    writeFileAtomic(join(path, STATE), `${JSON.stringify(envelope)}\n`);
    for (const [name, text] of Object.entries(extraFiles)) writeFileAtomic(join(path, name), text);
    const files: Record<string, string> = {};
    for (const name of readdirSync(path).sort()) files[name] = await hashFile(join(path, name));
    const manifest = { version: 1, files };
    writeFileAtomic(join(path, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
  });
}

interface StateTensors {
  readonly shapes: readonly TensorShape[];
  readonly pieces: (name: string) => Pieces;
}

/** In pieces where the model hands them out: the bytes of a large one are not in memory once more. */
async function stateReader(model: NewCheckpoint<unknown>['model']) {
  if (model.statePieces !== undefined) {
    const shapes = trainedSpecs(model);
    return (part: StatePart): StateTensors => ({
      shapes,
      pieces: (name) => model.statePieces?.(part, name) ?? [],
    });
  }
  const state = await model.state();
  return (part: StatePart): StateTensors => {
    const source = sourceOf(state[part]);
    return { shapes: state[part], pieces: (name) => source.pieces(name) };
  };
}

/** Steps saved in `folder`, in order. Folders that were not finished are not among them. */
export function listCheckpoints(folder: string): number[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => existsSync(join(folder, name, MANIFEST)))
    .flatMap((name) => {
      const match = STEP_FOLDER.exec(name);
      return match ? [Number(match[1])] : [];
    })
    .sort((a, b) => a - b);
}

/** Path of the latest complete checkpoint in `folder`, or undefined when there is none. */
export function latestCheckpoint(folder: string): string | undefined {
  const step = listCheckpoints(folder).at(-1);
  return step === undefined ? undefined : join(folder, checkpointName(step));
}

/**
 * Opens a checkpoint folder after checking every file against its checksum.
 *
 * @throws {IntegrityError} a file is missing, was changed, or is not what a checkpoint holds.
 */
export async function openCheckpoint<State>(
  path: string,
  stateSchema: ZodType<State>,
): Promise<Checkpoint<State>> {
  const manifest = readJson(join(path, MANIFEST), manifestSchema);
  for (const [name, expected] of Object.entries(manifest.files)) {
    const file = join(path, name);
    const received = existsSync(file) ? await hashFile(file) : 'no file';
    if (received !== expected) {
      throw new IntegrityError(
        `${file}: expected sha256 ${expected}, received ${received}; ${RETREAT}.`,
      );
    }
  }
  const envelope = readJson(join(path, STATE), envelopeSchema);
  const state = readState(join(path, STATE), envelope.state, stateSchema);
  return { state, ...openTensors(path, envelope.modelVersion) };
}

function openTensors(path: string, version: number): Pick<Checkpoint<unknown>, 'model' | 'close'> {
  const files: SafetensorsFile[] = [];
  const close = (): void => files.forEach((file) => file.close());
  const open = (part: StatePart): WeightSource => {
    const file = new SafetensorsFile(join(path, PARTS[part]));
    files.push(file);
    return file.source();
  };
  try {
    const weights = open('weights');
    const firstMoments = open('firstMoments');
    const secondMoments = open('secondMoments');
    return { model: { version, weights, firstMoments, secondMoments }, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** Deletes all but the `keep` latest checkpoints. A kill in between leaves none half deleted. */
export function pruneCheckpoints(folder: string, keep: number): void {
  const steps = listCheckpoints(folder);
  for (const step of steps.slice(0, Math.max(steps.length - keep, 0))) {
    const path = join(folder, checkpointName(step));
    const discarded = `${path}.old-${createHash('sha256').update(path).digest('hex').slice(0, 12)}`;
    renameSync(path, discarded);
    rmSync(discarded, { recursive: true, force: true });
  }
}

/** Removes what a killed process left behind: folders that never got, or already lost, their name. */
export function removeUnfinishedCheckpoints(folder: string): void {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) {
    if (TEMPORARY_FOLDER.test(name)) rmSync(join(folder, name), { recursive: true, force: true });
  }
}

function readJson<T>(path: string, schema: ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new IntegrityError(`${path}: expected JSON, received something else; ${RETREAT}.`, {
      cause,
    });
  }
  return readState(path, value, schema);
}

function readState<T>(path: string, value: unknown, schema: ZodType<T>): T {
  try {
    return parseRecord(schema, value, path);
  } catch (cause) {
    throw new IntegrityError(
      `${path}: expected the state of this trainer, received another; ${RETREAT}.`,
      {
        cause,
      },
    );
  }
}
