// The names of documents, for finding mentions of them in text.
import type { Document } from '@masksearch/core';
import { shownTitle } from './wiki-aliases.ts';

/** What one document is called. */
export interface TitleEntry {
  readonly documentId: string;
  /** Its title without a disambiguating bracket. */
  readonly title: string;
  /** Its other names, the full title included where it has a bracket; none equals `title`. */
  readonly aliases: readonly string[];
}

/** One entry per document that has a title, in order. */
export async function titlesOf(
  documents: AsyncIterable<Document> | Iterable<Document>,
): Promise<TitleEntry[]> {
  const entries: TitleEntry[] = [];
  for await (const { id, title, aliases } of documents) {
    if (title === '') continue;
    const shown = shownTitle(title);
    const others = new Set([title, ...aliases]);
    others.delete(shown);
    entries.push({ documentId: id, title: shown, aliases: [...others] });
  }
  return entries;
}
