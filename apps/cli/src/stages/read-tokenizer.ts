// The tokenizer of a run. Imports nothing of models, as workers that have none read it too.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { loadTokenizer, type Tokenizer } from '@masksearch/tokenizer';
import type { RunConfig } from '../config/run-config.ts';
import { stageFile, type RunContext } from '../run/run-folder.ts';

/** That of the model folder that the run starts from, else the one that its corpus trained. */
export function readTokenizer(
  run: Pick<RunContext, 'folder'>,
  { model: { from } }: Pick<RunConfig, 'model'>,
): Tokenizer {
  const own = from === null ? null : join(from, 'tokenizer.json');
  if (own !== null && existsSync(own)) return loadTokenizer(own);
  return loadTokenizer(stageFile(run, 'corpus', 'tokenizer.json'));
}
