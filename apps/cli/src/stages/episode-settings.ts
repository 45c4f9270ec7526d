// What decides the episodes of every stage that plays them, for manifests: settings, and hashes of what is read.
import type { RunConfig } from '../config/run-config.ts';
import { stageOutputs, type RunContext } from '../run/run-folder.ts';
import { conversationConfig } from './conversation.ts';
import { searchInputs, searchSettings } from './search-source.ts';

/** Limits, conversation and search tool. Concurrency changes no result. */
export function episodeSettings(config: RunConfig) {
  return { episode: config.episode, ...conversationConfig(config), ...searchSettings(config) };
}

/** The tasks and the recorded searches; the model that plays is the stage's own to add. */
export async function episodeInputs(
  run: Pick<RunContext, 'folder'>,
  config: RunConfig,
): Promise<Record<string, string>> {
  return { ...stageOutputs(run, 'tasks'), ...(await searchInputs(config)) };
}
