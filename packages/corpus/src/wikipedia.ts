// Reads a MediaWiki dump into documents: plain text, link spans, and the names that redirects and links give pages.
import { basename } from 'node:path';
import { type Document, RECORD_VERSION, type Span } from '@masksearch/core';
import type { ReadOptions, SkipReason } from './read-options.ts';
import { readWikiAliases, redirectTarget, WikiAliases } from './wiki-aliases.ts';
import { readWikiPages, type WikiPage } from './wiki-pages.ts';
import { isTangled } from './wiki-tangle.ts';
import { type PlainPage, plainPage, type WikiLink } from './wiki-text.ts';

export interface WikipediaOptions extends ReadOptions {
  /**
   * `collect` (default) reads the dump twice, first for the names of its pages, which are held in memory; `skip` reads
   * it once and leaves aliases empty.
   */
  readonly aliases?: 'collect' | 'skip';
}

/**
 * Streams the articles (namespace 0) of a dump, .xml or compressed. Links become spans of kind `link`, whose aliases
 * are the names of the page they lead to. The id is the title; a page whose title was there before is skipped.
 *
 * @throws {InputError} the file is cut off or malformed; the message names file and position. Articles before it have
 *   been returned by then.
 */
export async function* readWikipedia(
  path: string,
  options: WikipediaOptions = {},
): AsyncGenerator<Document> {
  const aliases = options.aliases === 'skip' ? new WikiAliases() : await readWikiAliases(path);
  const titles = new Set<string>();
  for await (const page of readWikiPages(path)) {
    const result = titles.has(page.title) ? 'duplicate' : toDocument(page, aliases, basename(path));
    titles.add(page.title);
    if (typeof result === 'string') options.onSkip?.(result, `${page.where} (${page.title})`);
    else yield result;
  }
}

function toDocument(page: WikiPage, aliases: WikiAliases, source: string): Document | SkipReason {
  if (page.namespace !== 0) return 'other-namespace';
  if (redirectTarget(page) !== undefined) return 'redirect';
  if (isTangled(page.wikitext)) return 'unparsable';
  let plain: PlainPage;
  try {
    plain = plainPage(page.wikitext, page.title);
  } catch {
    return 'unparsable'; // the parser throws on some pages; they are counted, not fatal
  }
  if (plain.redirect !== undefined) return 'redirect';
  if (plain.isDisambiguation) return 'disambiguation';
  if (plain.text === '') return 'empty';
  return {
    version: RECORD_VERSION,
    id: page.title,
    title: page.title,
    aliases: aliases.of(page.title),
    text: plain.text,
    spans: plain.links.map((link) => toSpan(link, plain.text, aliases)),
    source,
  };
}

function toSpan({ start, end, target }: WikiLink, text: string, aliases: WikiAliases): Span {
  const shown = text.slice(start, end);
  const page = aliases.resolve(target);
  const names = [page, ...aliases.of(page)].filter((name) => name !== '' && name !== shown);
  return { start, end, text: shown, kind: 'link', aliases: names };
}
