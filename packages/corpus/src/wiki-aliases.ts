// Other names of wiki pages: titles that redirect to them, and words that links to them show.
import { readWikiPages } from './wiki-pages.ts';

/** How often a link must show a text before it counts as a name of its target. */
const MIN_LINKS = 2;

const PIPED_LINK = /\[\[([^[\]|#<>{}]{1,255})(?:#[^[\]|]{0,255})?\|([^[\]|<>{}]{1,255})\]\]/g;
const REDIRECT_TEXT = /^\s*#\s*\p{L}[\p{L} ]*:?\s*\[\[([^[\]|#]{1,255})/iu;
const NAME_START = /^[\p{Lu}\p{N}]/u;

/** A title as MediaWiki compares it: spaces for underscores, first letter in upper case, no anchor. */
export function canonicalTitle(title: string): string {
  const plain = (title.split('#')[0] as string).replace(/[\s_]+/g, ' ').trim();
  const first = plain.slice(0, String.fromCodePoint(plain.codePointAt(0) ?? 0).length);
  return first.toUpperCase() + plain.slice(first.length);
}

/** The title without a disambiguating bracket: `Mercury (planet)` is shown as `Mercury`. */
export function shownTitle(title: string): string {
  return title.replace(/ \([^()]*\)$/, '') || title;
}

/** Names of pages, by canonical title. */
export class WikiAliases {
  readonly #redirects = new Map<string, string>();
  readonly #redirectsTo = new Map<string, string[]>();
  /** Shown text → target → number of links. */
  readonly #links = new Map<string, Map<string, number>>();
  #shownFor: Map<string, string[]> | undefined;

  addRedirect(title: string, target: string): void {
    const to = canonicalTitle(target);
    this.#redirects.set(canonicalTitle(title), to);
    push(this.#redirectsTo, to, title);
  }

  /** Counts the links of a page's wikitext that show another text than their target. */
  addLinks(wikitext: string): void {
    for (const [, target = '', shown = ''] of wikitext.matchAll(PIPED_LINK)) {
      const name = shown.replace(/'{2,}/g, '').replace(/\s+/g, ' ').trim();
      if (!NAME_START.test(name)) continue;
      const counts = this.#links.get(name) ?? new Map<string, number>();
      this.#links.set(name, counts);
      const to = canonicalTitle(target);
      counts.set(to, (counts.get(to) ?? 0) + 1);
    }
    this.#shownFor = undefined;
  }

  /** The page that `title` leads to in the end. */
  resolve(title: string): string {
    let current = canonicalTitle(title);
    for (let hops = 0; hops < 5; hops++) {
      const next = this.#redirects.get(current);
      if (next === undefined) break;
      current = next;
    }
    return current;
  }

  /**
   * Other names of the page `title`: its title without a bracket, redirects, and texts that at least two links show
   * for it and that lead to it more often than elsewhere. Sorted, without the title itself.
   */
  of(title: string): string[] {
    const page = canonicalTitle(title);
    this.#shownFor ??= this.#rankLinks();
    const names = [
      shownTitle(page),
      ...(this.#redirectsTo.get(page) ?? []).map(shownTitle),
      ...(this.#shownFor.get(page) ?? []),
    ];
    return [...new Set(names)].filter((name) => name !== '' && name !== page).sort();
  }

  #rankLinks(): Map<string, string[]> {
    const shownFor = new Map<string, string[]>();
    for (const [name, counts] of this.#links) {
      const resolved = new Map<string, number>();
      for (const [target, count] of counts) {
        const page = this.resolve(target);
        resolved.set(page, (resolved.get(page) ?? 0) + count);
      }
      const [best, second] = [...resolved].sort((a, b) => b[1] - a[1]);
      if (best && best[1] >= MIN_LINKS && best[1] > (second?.[1] ?? 0))
        push(shownFor, best[0], name);
    }
    return shownFor;
  }
}

/** Reads a dump for its names only. @throws {InputError} as `readWikiPages`. */
export async function readWikiAliases(path: string): Promise<WikiAliases> {
  const aliases = new WikiAliases();
  for await (const page of readWikiPages(path)) {
    if (page.namespace !== 0) continue;
    const target = redirectTarget(page);
    if (target === undefined) aliases.addLinks(page.wikitext);
    else aliases.addRedirect(page.title, target);
  }
  return aliases;
}

/** Where a redirect page leads, or undefined for any other page. */
export function redirectTarget(page: {
  readonly redirect: string | undefined;
  readonly wikitext: string;
}): string | undefined {
  return page.redirect ?? REDIRECT_TEXT.exec(page.wikitext)?.[1];
}

function push(lists: Map<string, string[]>, key: string, value: string): void {
  const list = lists.get(key);
  if (list) list.push(value);
  else lists.set(key, [value]);
}
