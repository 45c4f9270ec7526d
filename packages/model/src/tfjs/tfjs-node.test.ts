// The same model on tfjs-node, where it is installed: NODE_PATH as scripts/build-tfjs-node.sh prints it.
import { UnavailableError } from '@masksearch/core';
import { test } from 'vitest';
import { runConformance, runGolden } from '../conformance/index.ts';
import { loadTfjsBackend } from './load-backend.ts';
import { createTfjsModel, type TfjsModelOptions } from './tfjs-language-model.ts';

const backend = await loadOrReason();
if (backend.reason === undefined) {
  const implementation = {
    name: 'tfjs node',
    create: (options: TfjsModelOptions) =>
      createTfjsModel({ ...options, backend: backend.registered }),
  };
  runConformance({ ...implementation, skip: [] });
  runGolden({ ...implementation, skip: [] });
} else {
  test.skip(`tfjs node (${backend.reason})`);
}

async function loadOrReason(): Promise<
  { registered: string; reason?: undefined } | { reason: string }
> {
  try {
    return { registered: await loadTfjsBackend('tfjs-node') };
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error;
    return { reason: error.message };
  }
}
