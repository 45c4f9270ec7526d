// A model folder made ready to be served: engine, tokenizer, chat template, and for the agent its search tool.
import { basename, resolve } from 'node:path';
import { createChatCodec, resolveEpisodeConfig, type ToolCalls } from '@masksearch/agent';
import { ConfigError, InputError } from '@masksearch/core';
import { createNativeModel } from '@masksearch/engine';
import { openModelFolder } from '@masksearch/model';
import { type Bm25Index, connectRetrieve, openIndex } from '@masksearch/search';
import type { ChatServerOptions } from '@masksearch/serve';
import { parseTokenizer, readChatTemplate } from '@masksearch/tokenizer';
import { hashPath } from '../run/hash-path.ts';
import { endTokensOf } from './end-tokens.ts';

export interface ServedModelOptions {
  readonly model: string;
  readonly name?: string;
  /** 0 takes one per core. */
  readonly threads: number;
  readonly device: 'cpu' | 'cuda';
  /** Default: what the device takes. */
  readonly dtype?: 'float32' | 'bfloat16';
  readonly agent?: boolean;
  /** `none` uses the plain rendering although the folder has a template. */
  readonly chatTemplate: 'auto' | 'none';
  /** How the agent writes searches under a template; must be that of its training. */
  readonly toolCalls: ToolCalls;
  readonly index?: string;
  readonly retrieve?: readonly string[];
}

export interface ServedModel {
  readonly server: Omit<ChatServerOptions, 'port'>;
  readonly close: () => Promise<void>;
}

/**
 * Loads the model and opens the agent's search tool. Close it when the server has ended.
 * @throws {InputError} the folder holds no model or no tokenizer, or there is no index.
 * @throws {ConfigError} the agent has no search tool, or two.
 */
export async function openServedModel(options: ServedModelOptions): Promise<ServedModel> {
  const folder = resolve(options.model);
  checkAgent(options);
  const files = openModelFolder(folder);
  let index: Bm25Index | undefined;
  try {
    const { config, weights, tokenizerJson } = files;
    if (tokenizerJson === undefined) {
      throw new InputError(`${folder}: expected a tokenizer.json beside the weights, found none.`);
    }
    const tokenizer = parseTokenizer(tokenizerJson, folder);
    const template = options.chatTemplate === 'none' ? null : readChatTemplate(folder);
    const endTokens = template === null ? [] : endTokensOf(folder, tokenizer);
    if (options.index !== undefined) index = openIndex(options.index);
    const { agent = false, retrieve = [], device, dtype, threads } = options;
    const search = agent ? (index ?? (await connectRetrieve(retrieve))) : undefined;
    const episode = resolveEpisodeConfig({});
    const { answerForm } = episode;
    const { toolCalls } = options;
    const agentCodec =
      template === null || !agent
        ? {}
        : { codec: createChatCodec({ tokenizer, template, toolCalls, answerForm }) };
    const fingerprint = `masksearch-${(await hashPath(folder)).slice(0, 16)}`;
    const run = {
      device,
      ...(dtype === undefined ? {} : { dtype }),
      ...(threads === 0 ? {} : { threads }),
    };
    const model = await createNativeModel({ config, weights, ...run });
    return {
      server: {
        name: options.name ?? basename(folder),
        model,
        tokenizer,
        fingerprint,
        ...(template === null ? {} : { template: { template, endTokens } }),
        ...(search === undefined ? {} : { agent: { ...agentCodec, search, episode } }),
      },
      close: async () => {
        await model.dispose();
        index?.close();
      },
    };
  } catch (error) {
    index?.close();
    throw error;
  } finally {
    files.close();
  }
}

function checkAgent({ agent = false, index, retrieve }: ServedModelOptions): void {
  const tools = [index, retrieve].filter((tool) => tool !== undefined).length;
  if (agent && tools !== 1) {
    throw new ConfigError(
      `serve --agent: expected either --index or --retrieve, received ${tools === 0 ? 'neither' : 'both'}.`,
    );
  }
  if (!agent && tools > 0) {
    throw new ConfigError('serve: --index and --retrieve are those of the agent; add --agent.');
  }
}
