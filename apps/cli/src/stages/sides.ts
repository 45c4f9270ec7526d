// The two sides of a run, what is trained on and what is held out, and where their files lie.
import { existsSync } from 'node:fs';
import {
  documentSchema,
  parseRecord,
  passageSchema,
  readJsonl,
  readManifest,
  type Document,
  type Passage,
} from '@masksearch/core';
import { join } from 'node:path';
import { openIndex, type Bm25Index } from '@masksearch/search';
import { z } from 'zod';
import { corpusSchema } from '../config/data-sections.ts';
import type { RunConfig } from '../config/run-config.ts';
import { stageFile, stageFolder, type RunContext } from '../run/run-folder.ts';

export const SIDES = ['train', 'heldout'] as const;
export type Side = (typeof SIDES)[number];

type Run = Pick<RunContext, 'folder'>;

/**
 * The side whose passages are searched for tasks of `side`. The held-out world has passages of its
 * own; the held-out documents of an input lie among all others.
 */
export function searchedSide(run: Run, side: Side): Side {
  const own = join(stageFolder(run, 'corpus'), side, 'passages.jsonl');
  return existsSync(own) ? side : 'train';
}

export function readDocuments(run: Run, side: Side): AsyncGenerator<Document> {
  return readJsonl(stageFile(run, 'corpus', `${side}/documents.jsonl`), documentSchema);
}

/** The passages that are searched for tasks of `side`. */
export function readPassages(run: Run, side: Side): AsyncGenerator<Passage> {
  return readJsonl(
    stageFile(run, 'corpus', `${searchedSide(run, side)}/passages.jsonl`),
    passageSchema,
  );
}

/** What the corpus of this run was made with, whatever has been asked for since. */
export interface RecordedCorpus {
  readonly corpus: RunConfig['corpus'];
  readonly seed: number;
}

export function corpusOf(run: Run): RecordedCorpus {
  const folder = stageFolder(run, 'corpus');
  const { config, seed } = readManifest(folder);
  const recorded = z.looseObject({ corpus: corpusSchema });
  const { corpus } = parseRecord(recorded, config, join(folder, 'manifest.json'));
  return { corpus, seed };
}

/** Opens the search index for tasks of `side`, and closes it when `use` is done. */
export async function withIndex<T>(
  run: Run,
  side: Side,
  use: (index: Bm25Index) => Promise<T>,
): Promise<T> {
  const index = openIndex(stageFile(run, 'index', searchedSide(run, side)));
  try {
    return await use(index);
  } finally {
    index.close();
  }
}
