// The models of a synthesis: one client per endpoint that a role names, with one cache and one cost cap.
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

export interface RoleModels {
  readonly meter: CostMeter;
  /** The models that play for a task; the oracle is told which. */
  readonly forTask: (task: Task) => SynthesisEnvironment['models'];
  /** Plays whole episodes in place of planner, rewriter and observer, or null. */
  readonly player: TokenModel | null;
  close(): Promise<void>;
}

/** @throws {ConfigError} a role names no endpoint, or a key's variable is not set. */
export function openRoleModels(runFolder: string, { synthesis }: RunConfig): RoleModels {
  const { endpoints, roles, capUsd, processes } = synthesis;
  const meter = new CostMeter(capUsd === null ? {} : { capUsd: capUsd / processes });
  for (const [role, name] of Object.entries(roles)) {
    if (name === null) continue;
    const isBuiltIn =
      (name === 'oracle' && role !== 'player') || (role === 'judge' && name === 'rule');
    if (isBuiltIn || endpoints[name] !== undefined) continue;
    throw new ConfigError(
      `synthesis.roles.${role}: expected the name of an endpoint (${Object.keys(endpoints).join(', ') || 'there is none'}) or oracle, received ${name}.`,
    );
  }
  const cache = new ResponseCache(join(runFolder, CACHE_FILE));
  const { player: playerName, planner, rewriter, observer, judge } = roles;
  const used = new Set(playerName === null ? [planner, rewriter, observer, judge] : [judge]);
  const clients = new Map<string, ChatClient>();
  for (const [name, config] of Object.entries(endpoints)) {
    if (used.has(name)) clients.set(name, new ChatClient({ name, config, meter, cache }));
  }
  const playerConfig = playerName === null ? undefined : endpoints[playerName];
  const player =
    playerName === null || playerConfig === undefined
      ? null
      : new TokenClient({ name: playerName, config: playerConfig, meter, cache });
  return {
    meter,
    player,
    forTask: (task) => {
      const oracle = oracleModel([task]);
      const modelOf = (name: string): ChatModel => clients.get(name) ?? oracle;
      return {
        planner: modelOf(planner),
        rewriter: modelOf(rewriter),
        observer: modelOf(observer),
        judge: judge === 'rule' ? null : modelOf(judge),
      };
    },
    close: async () => {
      for (const client of clients.values()) await client.close();
      await player?.close();
      cache.close();
    },
  };
}
