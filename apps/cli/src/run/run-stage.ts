// Runs one stage: skips it when nothing changed, puts its folder in place whole, leaves a manifest.
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import {
  hashFile,
  readManifest,
  removeUnfinished,
  replaceFolder,
  writeFileAtomic,
  writeFolderAtomic,
  writeManifest,
  type Manifest,
} from '@masksearch/core';
import { Progress, formatDuration } from '../progress.ts';
import { commitOf } from './commit.ts';
import {
  hashJson,
  prepareRunFolder,
  stageFolder,
  type RunContext,
  type StageName,
} from './run-folder.ts';

/** Says whose unfinished work a `.work` folder holds. */
const KEY_FILE = 'key';

export interface StageWork {
  /** Where the stage writes; becomes the stage's folder when it is done. */
  readonly folder: string;
  readonly seed: number;
  readonly signal: AbortSignal;
  readonly say: (line: string) => unknown;
  /** Opens the progress line; `unit` is a plural noun. The runner closes it. */
  readonly progress: (unit: string) => Progress;
}

export interface StageDefinition {
  readonly name: StageName;
  /** The resolved configuration that decides what the stage does. */
  readonly config: unknown;
  /** Name → sha256 of everything it reads. */
  readonly inputs: Readonly<Record<string, string>>;
  /** True: a killed run continues in the same folder, from the stage's own checkpoints. */
  readonly resumable: boolean;
  readonly execute: (work: StageWork) => Promise<StageResult>;
}

export interface StageResult {
  /** How many of what: records in and out, rejected by reason, … */
  readonly counts: Readonly<Record<string, number>>;
  readonly device: string;
}

export interface StageOutcome {
  readonly stage: StageName;
  readonly folder: string;
  /** True when the stage had been done before with the same inputs and configuration. */
  readonly skipped: boolean;
  readonly manifest: Manifest;
}

/** Runs a stage of a run, or skips it. What `execute` throws leaves no stage folder behind. */
export async function runStage(run: RunContext, stage: StageDefinition): Promise<StageOutcome> {
  prepareRunFolder(run.folder);
  const folder = stageFolder(run, stage.name);
  const key = hashJson({ config: stage.config, inputs: stage.inputs, seed: run.seed });
  const before = finishedBefore(folder, key);
  if (before !== undefined && !run.fresh) {
    run.say(`${stage.name}: up to date`);
    return { stage: stage.name, folder, skipped: true, manifest: before };
  }
  const started = performance.now();
  const fill = async (target: string): Promise<void> => {
    const result = await execute(run, stage, target);
    const seconds = (performance.now() - started) / 1000;
    writeManifest(target, await manifestOf(run, stage, target, { ...result, seconds }));
  };
  if (stage.resumable) await fillResumable(folder, key, run.fresh, fill);
  else await writeFolderAtomic(folder, fill);
  const manifest = readManifest(folder);
  run.say(
    `${stage.name}: done in ${formatDuration(manifest.seconds)}  ${summary(manifest.counts)}`,
  );
  return { stage: stage.name, folder, skipped: false, manifest };
}

async function execute(
  run: RunContext,
  stage: StageDefinition,
  folder: string,
): Promise<StageResult> {
  const open: Progress[] = [];
  try {
    return await stage.execute({
      folder,
      seed: run.seed,
      signal: run.signal,
      say: run.say,
      progress: (unit) => {
        const progress = new Progress({ stage: stage.name, unit });
        open.push(progress);
        return progress;
      },
    });
  } finally {
    for (const progress of open) progress.close();
  }
}

/** The manifest of an earlier run of the same work, if its folder is there. */
function finishedBefore(folder: string, key: string): Manifest | undefined {
  if (!existsSync(join(folder, 'manifest.json'))) return undefined;
  const manifest = readManifest(folder);
  const same =
    hashJson({ config: manifest.config, inputs: manifest.inputs, seed: manifest.seed }) === key;
  return same ? manifest : undefined;
}

/**
 * Works in `<folder>.work`, which survives a kill and is taken up again by the same work only. Its manifest comes last, so
 * work that has one is only to be put in place.
 */
async function fillResumable(
  folder: string,
  key: string,
  fresh: boolean,
  fill: (target: string) => Promise<void>,
): Promise<void> {
  const work = `${folder}.work`;
  const keyFile = join(work, KEY_FILE);
  const sameWork = existsSync(keyFile) && readFileSync(keyFile, 'utf8') === key;
  if (!sameWork || fresh) rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  removeUnfinished(work);
  writeFileAtomic(keyFile, key);
  if (!existsSync(join(work, 'manifest.json'))) await fill(work);
  replaceFolder(work, folder);
  rmSync(join(folder, KEY_FILE));
}

async function manifestOf(
  run: RunContext,
  stage: StageDefinition,
  folder: string,
  result: StageResult & { seconds: number },
): Promise<Manifest> {
  const outputs: Record<string, string> = {};
  for (const file of filesOf(folder)) outputs[file] = await hashFile(join(folder, file));
  return {
    version: 1,
    stage: stage.name,
    config: stage.config,
    seed: run.seed,
    commit: commitOf(import.meta.dirname),
    inputs: stage.inputs,
    outputs,
    counts: result.counts,
    seconds: result.seconds,
    device: result.device,
  };
}

/** Files below `folder`, relative, in a fixed order; the runner's own files are left out. */
function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .filter((file) => file !== 'manifest.json' && file !== KEY_FILE)
    .toSorted();
}

function summary(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .slice(0, 6)
    .map(([name, count]) => `${count.toLocaleString('en')} ${name}`)
    .join(', ');
}
