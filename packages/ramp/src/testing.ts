// A small corpus for the tests, with annotations given as strings.
import type { Document, MaskTask, Passage } from '@masksearch/core';
import { buildIndexInMemory } from '@masksearch/search';
import type { SearchTool } from '@masksearch/search';
import { resolveRampConfig } from './config.ts';
import { makeTasks } from './make-tasks.ts';
import type { MakeTasksOptions, TaskOutcome } from './make-tasks.ts';

/** A document whose annotations are the first occurrences of `marked`. */
export function documentOf(
  fields: { id: string; title: string; text: string; aliases?: string[]; source?: string },
  marked: readonly (string | readonly [text: string, ...aliases: string[]])[] = [],
): Document {
  const spans = marked.map((item) => {
    const [text, ...aliases] = typeof item === 'string' ? [item] : item;
    const start = fields.text.indexOf(text);
    return { start, end: start + text.length, text, kind: 'name', aliases };
  });
  return { version: 1, aliases: [], source: 'test', ...fields, spans };
}

/** One passage per paragraph (between blank lines), empty ones included. */
export function passagesOf(document: Document): Passage[] {
  let start = 0;
  return document.text.split('\n\n').map((text, index) => {
    const passage: Passage = {
      version: 1,
      id: `${document.id}#${index}`,
      documentId: document.id,
      title: document.title,
      text,
      start,
    };
    start += text.length + 2;
    return passage;
  });
}

export const BARTO_TEXT =
  'In 1970 Andrew Barto received his B.S. with distinction in mathematics from the University of Michigan. ' +
  'He taught in Amherst, wrote a book with Richard Sutton, and was given the Turing Award in 2025.';
export const BARTO_SPANS = [
  '1970',
  'B.S.',
  'mathematics',
  'University of Michigan',
  'Amherst',
  'Richard Sutton',
  'Turing Award',
  '2025',
];

export const barto = documentOf(
  { id: 'barto', title: 'Andrew Barto', text: BARTO_TEXT },
  BARTO_SPANS,
);

/** Says in other words, elsewhere, what BARTO_TEXT says. */
export const evidence = documentOf({
  id: 'evidence',
  title: 'Reinforcement learning',
  text:
    'Andrew Barto studied mathematics; the University of Michigan gave him the degree B.S. in 1970, with distinction. ' +
    'With Richard Sutton Andrew Barto wrote the book of the field in Amherst, and in 2025 both got the Turing Award.',
});

export const corpus: readonly Document[] = [
  barto,
  evidence,
  documentOf({
    id: 'tea',
    title: 'Tea',
    text: 'Tea is a drink made by pouring hot water over the leaves of a shrub that grows in Asia.',
  }),
];

export function searchOver(documents: readonly Document[]): Promise<SearchTool> {
  return buildIndexInMemory(documents.flatMap(passagesOf).filter(({ text }) => text.trim() !== ''));
}

/** Options over `documents`, with defaults for the rest. */
export async function optionsOver(
  documents: readonly Document[],
  config: Parameters<typeof resolveRampConfig>[0] = {},
  others: Partial<MakeTasksOptions> = {},
): Promise<MakeTasksOptions> {
  const ids = new Set(documents.map(({ id }) => id));
  return {
    documents,
    passagesOf,
    search: await searchOver([...documents, ...corpus.filter(({ id }) => !ids.has(id))]),
    config: resolveRampConfig(config),
    seed: 1,
    ...others,
  };
}

export async function collect(options: MakeTasksOptions): Promise<TaskOutcome[]> {
  const outcomes: TaskOutcome[] = [];
  for await (const outcome of makeTasks(options)) outcomes.push(outcome);
  return outcomes;
}

export function tasksIn(outcomes: readonly TaskOutcome[]): MaskTask[] {
  return outcomes.flatMap((outcome) => ('task' in outcome ? [outcome.task] : []));
}

export function reasonsIn(outcomes: readonly TaskOutcome[]): string[] {
  return outcomes.flatMap((outcome) => ('task' in outcome ? [] : [outcome.reason]));
}
