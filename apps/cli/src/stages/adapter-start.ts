// The adapter that a training stage's settings ask for, and where it is left.
import { join } from 'node:path';
import { saveAdapterFolder, type AdapterStart, type LanguageModel } from '@masksearch/model';
import type { LoraSettings } from '../config/learning-sections.ts';

/** A new adapter, or undefined where all weights are trained. */
export function adapterStart(
  { rank, ...lora }: LoraSettings,
  seed: number,
): AdapterStart | undefined {
  if (rank === 0) return undefined;
  return { config: { rank, ...lora }, seed: seed >>> 0 };
}

/** Leaves PEFT's `adapter/` in a stage's folder, where the model has an adapter. */
export async function saveAdapter(
  folder: string,
  { adapter }: LanguageModel,
  baseModel: string | null,
): Promise<void> {
  if (adapter === undefined) return;
  const trained = { config: adapter.config, weights: await adapter.weights() };
  await saveAdapterFolder(
    join(folder, 'adapter'),
    trained,
    baseModel === null ? {} : { baseModel },
  );
}
