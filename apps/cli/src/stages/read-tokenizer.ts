// The tokenizer of a run. Imports nothing of models, as workers that have none read it too.
import { existsSync, statSync } from 'node:fs';
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
  const hasOwn = own !== null && existsSync(own);
  return loadOnce(hasOwn ? own : stageFile(run, 'corpus', 'tokenizer.json'));
}

/** What was read last: all stages of a run ask for the same file, and a large one takes more than a second. */
let last: { readonly key: string; readonly tokenizer: Tokenizer } | undefined;

function loadOnce(path: string): Tokenizer {
  const { mtimeMs, size } = statSync(path);
  const key = [path, mtimeMs, size].join('\n');
  if (last?.key !== key) last = { key, tokenizer: loadTokenizer(path) };
  return last.tokenizer;
}
