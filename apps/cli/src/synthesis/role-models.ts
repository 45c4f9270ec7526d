// The models of a synthesis: one client per endpoint that a role names, with one cache and one cost cap.
import { join } from 'node:path';
import { oracleModel, type SynthesisEnvironment } from '@masksearch/agent';
import { ChatClient, CostMeter, ResponseCache, type ChatModel } from '@masksearch/chat';
import { ConfigError, type Task } from '@masksearch/core';
import type { RunConfig } from '../config/run-config.ts';

/** Answers of earlier calls; outlives the stage, so that making it again costs nothing. */
export const CACHE_FILE = 'chat-cache.sqlite';

export interface RoleModels {
  readonly meter: CostMeter;
  /** The models that play for a task; the oracle is told which. */
  readonly forTask: (task: Task) => SynthesisEnvironment['models'];
  close(): Promise<void>;
}

/** @throws {ConfigError} a role names no endpoint, or a key's variable is not set. */
export function openRoleModels(runFolder: string, { synthesis }: RunConfig): RoleModels {
  const { endpoints, roles, capUsd, processes } = synthesis;
  const meter = new CostMeter(capUsd === null ? {} : { capUsd: capUsd / processes });
  for (const [role, name] of Object.entries(roles)) {
    const isBuiltIn = name === 'oracle' || (role === 'judge' && name === 'rule');
    if (isBuiltIn || endpoints[name] !== undefined) continue;
    throw new ConfigError(
      `synthesis.roles.${role}: expected the name of an endpoint (${Object.keys(endpoints).join(', ') || 'there is none'}) or oracle, received ${name}.`,
    );
  }
  const cache = new ResponseCache(join(runFolder, CACHE_FILE));
  const used = new Set(Object.values(roles));
  const clients = new Map<string, ChatClient>();
  for (const [name, config] of Object.entries(endpoints)) {
    if (used.has(name)) clients.set(name, new ChatClient({ name, config, meter, cache }));
  }
  return {
    meter,
    forTask: (task) => {
      const oracle = oracleModel([task]);
      const player = (name: string): ChatModel => clients.get(name) ?? oracle;
      const { planner, rewriter, observer, judge } = roles;
      return {
        planner: player(planner),
        rewriter: player(rewriter),
        observer: player(observer),
        judge: judge === 'rule' ? null : player(judge),
      };
    },
    close: async () => {
      for (const client of clients.values()) await client.close();
      cache.close();
    },
  };
}
