// The models of a synthesis: one client per endpoint or model folder that a role names, with one cache and one cost cap.
import { join } from 'node:path';
import { oracleModel, type SynthesisEnvironment } from '@masksearch/agent';
import {
  ChatClient,
  CostMeter,
  ResponseCache,
  TokenClient,
  type ChatModel,
  type TokenModel,
} from '@masksearch/chat';
import { ConfigError, type Task } from '@masksearch/core';
import type { RunConfig } from '../config/run-config.ts';

/** Answers of earlier calls; outlives the stage, so that making it again costs nothing. */
export const CACHE_FILE = 'chat-cache.sqlite';

type Synthesis = RunConfig['synthesis'];

export interface RoleModels {
  readonly meter: CostMeter;
  /** The models that play for a task; the oracle is told which. */
  readonly forTask: (task: Task) => SynthesisEnvironment['models'];
  /** Plays whole episodes in place of planner, rewriter and observer, or null. */
  readonly player: TokenModel | null;
  close(): Promise<void>;
}

interface OpenModel extends ChatModel {
  close(): Promise<void>;
}

/**
 * Opens what the roles name; model folders are loaded into this process.
 * @throws {ConfigError} a role names nothing that is there, or a key's variable is not set.
 * @throws {InputError} a folder holds no model or no tokenizer.
 */
export async function openRoleModels(
  runFolder: string,
  { synthesis }: RunConfig,
): Promise<RoleModels> {
  checkRoles(synthesis);
  const { endpoints, models, roles, capUsd, processes } = synthesis;
  const meter = new CostMeter(capUsd === null ? {} : { capUsd: capUsd / processes });
  const cache = new ResponseCache(join(runFolder, CACHE_FILE));
  const shared = { meter, cache };
  const open = new Map<string, OpenModel>();
  const player = openPlayer(synthesis, shared);
  const close = async (): Promise<void> => {
    for (const model of open.values()) await model.close();
    await player?.close();
    cache.close();
  };
  try {
    for (const name of usedNames(synthesis)) {
      const [config, local] = [endpoints[name], models[name]];
      if (config !== undefined) open.set(name, new ChatClient({ name, config, ...shared }));
      else if (local !== undefined) open.set(name, await openLocal(name, local));
    }
  } catch (error) {
    await close();
    throw error;
  }
  return {
    meter,
    player,
    forTask: (task) => {
      const oracle = oracleModel([task]);
      const modelOf = (name: string): ChatModel => open.get(name) ?? oracle;
      const { planner, rewriter, observer, judge } = roles;
      return {
        planner: modelOf(planner),
        rewriter: modelOf(rewriter),
        observer: modelOf(observer),
        judge: judge === 'rule' ? null : modelOf(judge),
      };
    },
    close,
  };
}

/** What is asked by chat: a player takes the place of all but the judge. */
export function usedNames({ roles }: Synthesis): Set<string> {
  const { player, planner, rewriter, observer, judge } = roles;
  return new Set(player === null ? [planner, rewriter, observer, judge] : [judge]);
}

function checkRoles({ endpoints, models, roles }: Synthesis): void {
  const twice = Object.keys(endpoints).find((name) => Object.hasOwn(models, name));
  if (twice !== undefined) {
    throw new ConfigError(
      `synthesis: expected endpoints and models of different names, received two of ${twice}.`,
    );
  }
  const urls = Object.keys(endpoints);
  for (const [role, name] of Object.entries(roles)) {
    const builtIn = role === 'player' ? [] : role === 'judge' ? ['oracle', 'rule'] : ['oracle'];
    const known = [...urls, ...(role === 'player' ? [] : Object.keys(models)), ...builtIn];
    if (name === null || known.includes(name)) continue;
    throw new ConfigError(
      `synthesis.roles.${role}: expected ${known.join(', ') || 'the name of an endpoint; there is none'}, received ${name}.`,
    );
  }
}

function openPlayer(
  { endpoints, roles }: Synthesis,
  shared: { readonly meter: CostMeter; readonly cache: ResponseCache },
): TokenClient | null {
  const config = roles.player === null ? undefined : endpoints[roles.player];
  if (roles.player === null || config === undefined) return null;
  return new TokenClient({ name: roles.player, config, ...shared });
}

async function openLocal(name: string, local: Synthesis['models'][string]): Promise<OpenModel> {
  const { folder, threads, maxSequences, maxContextTokens } = local;
  // The engine is loaded only where a model is.
  const { openServedModel } = await import('../serving/served-model.ts');
  const { InProcessChat } = await import('@masksearch/serve');
  const { server, close } = await openServedModel({
    model: folder,
    name,
    threads,
    device: 'cpu',
    chatTemplate: 'auto',
    toolCalls: 'tags',
  });
  const chat = new InProcessChat({ ...server, limits: { maxSequences, maxContextTokens } });
  return {
    name: chat.name,
    structured: chat.structured,
    complete: (request, options) => chat.complete(request, options),
    close: async () => {
      await chat.close();
      await close();
    },
  };
}
