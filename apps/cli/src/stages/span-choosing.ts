// What the choice of spans needs besides rules: the model that lists them, or the one that scores them.
import { join } from 'node:path';
import { ChatClient, ResponseCache } from '@masksearch/chat';
import { ConfigError } from '@masksearch/core';
import { loadModelFolder } from '@masksearch/model';
import type { MakeTasksOptions } from '@masksearch/ramp';
import { loadTokenizer } from '@masksearch/tokenizer';
import type { RunConfig } from '../config/run-config.ts';
import { hashPath } from '../run/hash-path.ts';
import type { RunContext } from '../run/run-folder.ts';
import { CACHE_FILE } from '../synthesis/role-models.ts';
import { createSpanLister, SPAN_PROMPT_VERSION } from '../synthesis/span-lister.ts';
import { createSpanScorer } from './span-scorer.ts';

export interface SpanChoosing {
  /** Options for `makeTasks`. */
  readonly functions: Pick<MakeTasksOptions, 'listSpans' | 'scoreSpans'>;
  readonly device: string;
  close(): Promise<void>;
}

/** @throws {ConfigError} the endpoint or model folder that the choice needs is not configured. */
export async function openSpanChoosing(run: RunContext, config: RunConfig): Promise<SpanChoosing> {
  const { spans } = config.tasks;
  if (spans === 'model') return openLister(run, config);
  if (spans === 'perplexity') return openScorer(config);
  return { functions: {}, device: 'cpu', close: () => Promise.resolve() };
}

function openLister(run: RunContext, config: RunConfig): SpanChoosing {
  const { name, endpoint } = spanEndpoint(config);
  const cache = new ResponseCache(join(run.folder, CACHE_FILE));
  const client = new ChatClient({ name, config: endpoint, cache });
  const { list } = createSpanLister(client, run.signal);
  return {
    functions: { listSpans: list },
    device: client.name,
    close: async () => {
      await client.close();
      cache.close();
    },
  };
}

async function openScorer(config: RunConfig): Promise<SpanChoosing> {
  const folder = scorerFolder(config);
  const tokenizer = loadTokenizer(join(folder, 'tokenizer.json'));
  const { createNativeModel } = await import('@masksearch/engine');
  const model = await createNativeModel(loadModelFolder(folder));
  return {
    functions: { scoreSpans: createSpanScorer(model, tokenizer) },
    device: model.device,
    close: () => model.dispose(),
  };
}

function spanEndpoint({ tasks, synthesis }: RunConfig) {
  const { spanEndpoint: name } = tasks;
  const endpoint = name === null ? undefined : synthesis.endpoints[name];
  if (name === null || endpoint === undefined) {
    throw new ConfigError(
      `tasks.spanEndpoint: expected one of synthesis.endpoints (${Object.keys(synthesis.endpoints).join(', ') || 'there is none'}) for spans model, received ${name ?? 'none'}.`,
    );
  }
  return { name, endpoint };
}

function scorerFolder({ tasks, model }: RunConfig): string {
  const folder = tasks.spanModel ?? model.from;
  if (folder === null) {
    throw new ConfigError(
      'tasks.spanModel: expected the folder of a model for spans perplexity, received none; name one, or set model.from.',
    );
  }
  return folder;
}

/** What of the configuration decides the tasks; without the keys that only some choices of spans have. */
export function taskSettings(config: RunConfig): unknown {
  const { spanEndpoint: _, spanModel: _model, ...plain } = config.tasks;
  if (plain.spans !== 'model') return plain;
  const { baseUrl, model } = spanEndpoint(config).endpoint;
  return { ...plain, spansBy: { baseUrl, model, prompt: SPAN_PROMPT_VERSION } };
}

/** Hash of the model that scores spans, for manifests. */
export async function spanInputs(config: RunConfig): Promise<Record<string, string>> {
  if (config.tasks.spans !== 'perplexity') return {};
  const folder = scorerFolder(config);
  return { [folder]: await hashPath(folder) };
}
