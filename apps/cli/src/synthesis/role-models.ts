// The models of a synthesis: one client per endpoint or model folder that a role names, with one cache and one cost cap.
import { join } from 'node:path';
import { EndpointSampler, oracleModel, type SynthesisEnvironment } from '@masksearch/agent';
import {
  ChatClient,
  CostMeter,
  ResponseCache,
  TokenClient,
  type ChatModel,
} from '@masksearch/chat';
import { ConfigError, type Task } from '@masksearch/core';
import type { RunConfig } from '../config/run-config.ts';
import { LocalModels } from './local-models.ts';
import type { RolePlayer } from './role-player.ts';

/** Answers of earlier calls; outlives the stage, so that making it again costs nothing. */
export const CACHE_FILE = 'chat-cache.sqlite';

type Synthesis = RunConfig['synthesis'];

export interface RoleModels {
  readonly meter: CostMeter;
  /** The models that play for a task; the oracle is told which. */
  readonly forTask: (task: Task) => SynthesisEnvironment['models'];
  /** Plays whole episodes in place of planner, rewriter and observer, or null. */
  readonly player: RolePlayer | null;
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
  const open = new Map<string, ChatModel>();
  const clients: (ChatClient | TokenClient)[] = [];
  const local = new LocalModels(models);
  let player: RolePlayer | null = null;
  const close = async (): Promise<void> => {
    for (const client of clients) await client.close();
    await local.close();
    cache.close();
  };
  try {
    const { player: playing } = roles;
    const playsAt = playing === null ? undefined : endpoints[playing];
    if (playing !== null && playsAt !== undefined) {
      const client = new TokenClient({ name: playing, config: playsAt, ...shared });
      clients.push(client);
      player = {
        name: client.name,
        samplerFor: (use) => new EndpointSampler({ model: client, ...use }),
      };
    } else if (playing !== null) player = await local.player(playing);
    for (const name of usedNames(synthesis)) {
      const config = endpoints[name];
      if (config !== undefined) {
        const client = new ChatClient({ name, config, ...shared });
        clients.push(client);
        open.set(name, client);
      } else if (local.has(name)) open.set(name, await local.chat(name));
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
  const named = [...Object.keys(endpoints), ...Object.keys(models)];
  for (const [role, name] of Object.entries(roles)) {
    const builtIn = role === 'player' ? [] : role === 'judge' ? ['oracle', 'rule'] : ['oracle'];
    const known = [...named, ...builtIn];
    if (name === null || known.includes(name)) continue;
    throw new ConfigError(
      `synthesis.roles.${role}: expected ${known.join(', ') || 'the name of an endpoint or a model; there is none'}, received ${name}.`,
    );
  }
}
