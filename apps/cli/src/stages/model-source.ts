// Where a model comes from: random weights, a folder to start from, or an earlier stage; and what runs it.
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '@masksearch/core';
import type { MemoryUse } from '@masksearch/engine';
import {
  createTfjsModel,
  initializeInduction,
  loadTfjsBackend,
  openModelFolder,
  type AdapterStart,
  type DecoderConfig,
  type LanguageModel,
  type ModelWeights,
} from '@masksearch/model';
import type { Tokenizer } from '@masksearch/tokenizer';
import type { RunConfig } from '../config/run-config.ts';
import { hashPath } from '../run/hash-path.ts';
import { stageFile, stageFolder, stageOutputs, type RunContext } from '../run/run-folder.ts';
import { readTokenizer } from './read-tokenizer.ts';

/** Which weights: those that training starts from, or those that a stage left. */
export type CheckpointName = 'base' | 'sft' | 'rl';

type Run = Pick<RunContext, 'folder' | 'seed'>;

/** What a model will be used for, and who is told the bytes that it is going to hold. */
export interface PlannedUse {
  readonly use: MemoryUse;
  readonly say: (line: string) => unknown;
}

/** Folder of the weights, or null for random ones. */
export function weightsFolder(run: Run, config: RunConfig, name: CheckpointName): string | null {
  if (name === 'base') return config.model.from;
  stageFile(run, name, 'model');
  return join(stageFolder(run, name), 'model');
}

/**
 * Creates the model that `config.model` asks for, with the weights of a checkpoint. The caller disposes of it.
 * @throws {ConfigError} the model and the tokenizer do not fit.
 */
export async function openModel(
  run: Run,
  config: RunConfig,
  name: CheckpointName,
  planned?: PlannedUse,
  adapter?: AdapterStart,
): Promise<LanguageModel> {
  const trained = adapter === undefined ? {} : { adapter };
  const folder = weightsFolder(run, config, name);
  const tokenizer = readTokenizer(run, config);
  if (folder === null) {
    const decoder = decoderConfig(config, tokenizer);
    const isPlain = config.model.initialization === 'random';
    const start = isPlain
      ? { seed: run.seed }
      : { weights: initializeInduction(decoder, run.seed) };
    return createModel(config, { config: decoder, ...start, ...trained }, planned);
  }
  const { config: decoder, weights, close } = openModelFolder(folder);
  try {
    if (decoder.vocabularySize < tokenizer.vocabularySize) {
      throw new ConfigError(
        `${folder}: expected at least ${tokenizer.vocabularySize} token embeddings for this run's tokenizer, received ${decoder.vocabularySize}.`,
      );
    }
    return await createModel(config, { config: decoder, weights, ...trained }, planned);
  } finally {
    close();
  }
}

interface Start {
  readonly config: DecoderConfig;
  readonly weights?: ModelWeights;
  readonly seed?: number;
  readonly adapter?: AdapterStart;
}

async function createModel(
  { model }: RunConfig,
  start: Start,
  planned?: PlannedUse,
): Promise<LanguageModel> {
  if (model.backend !== 'native') {
    const name = model.backend === 'tfjs' ? 'tfjs-cpu' : model.backend;
    return createTfjsModel({ ...start, backend: await loadTfjsBackend(name) });
  }
  const { createNativeModel, formatMemoryPlan, planMemory } = await import('@masksearch/engine');
  const threads = model.threads === 0 ? availableParallelism() : model.threads;
  const { device, dtype, gpuMemory } = model;
  if (device === 'cpu') {
    if (planned !== undefined) {
      const plan = planMemory(start.config, { ...planned.use, threads, dtype });
      planned.say(`memory of the model\n${formatMemoryPlan(plan)}`);
    }
    return createNativeModel({ ...start, threads, dtype });
  }
  const cuda = gpuMemory === null ? {} : { memoryBytes: Math.floor(gpuMemory * 2 ** 30) };
  const onGpu = await createNativeModel({ ...start, threads, dtype, device, cuda });
  planned?.say(`memory of the GPU\n${await onGpu.memory()}`);
  return onGpu;
}

/** What runs the model, as far as results depend on it; for manifests. */
export function executionSettings({ model: { backend, dtype, device } }: RunConfig) {
  return { backend, dtype, device };
}

/** Sizes from the configuration, vocabulary from the tokenizer. */
function decoderConfig({ model }: RunConfig, tokenizer: Tokenizer): DecoderConfig {
  const { width, layers, heads, keyValueHeads, headWidth, feedForwardWidth } = model;
  return {
    vocabularySize: tokenizer.vocabularySize,
    width,
    layers,
    heads,
    keyValueHeads,
    headWidth,
    feedForwardWidth,
    ropeTheta: model.ropeTheta,
    normEpsilon: 1e-6,
    maxPositions: model.maxPositions,
    attentionBias: true,
    tiedEmbeddings: true,
  };
}

/** Hashes of what a checkpoint consists of, for manifests. */
export async function modelInputs(
  run: Run,
  config: RunConfig,
  name: CheckpointName,
): Promise<Record<string, string>> {
  if (name === 'base') {
    const { from } = config.model;
    return from === null ? {} : { [from]: await hashPath(from) };
  }
  const outputs = Object.entries(stageOutputs(run, name));
  return Object.fromEntries(outputs.filter(([file]) => file.startsWith(`${name}/model/`)));
}
