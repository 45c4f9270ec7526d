// A run folder of the generated world with its tasks made: where trials start.
import { mkdirSync } from 'node:fs';
import { parseConfig } from '../src/config/load.ts';
import { runConfigSchema } from '../src/config/run-config.ts';
import { runStagesUpTo } from '../src/stages/run-all.ts';

/** @param perGroup Tasks of each of the seven groups. */
export async function prepareRun(folder: string, perGroup: number): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const articles = Math.max(200, perGroup * 3);
  const config = parseConfig(
    runConfigSchema,
    {
      name: 'trial',
      corpus: { world: { articles, heldoutArticles: 100 } },
      tokenizer: { vocabularySize: 800 },
      tasks: {
        train: { ramp: perGroup, questions: perGroup },
        heldout: { ramp: 2, questions: 2 },
      },
    },
    'prepareRun',
  );
  const { signal } = new AbortController();
  const run = { folder, seed: 1, fresh: false, signal, say: () => undefined };
  await runStagesUpTo(run, config, 'tasks');
}
