// Wikitext to plain text with links at exact offsets; tables, templates, references and galleries are left out.
import { decodeEntities } from './html-entities.ts';
import wtf from 'wtf_wikipedia';

/** An internal link of the plain text: `text.slice(start, end)` is what it shows. */
export interface WikiLink {
  readonly start: number;
  readonly end: number;
  /** Title of the page it leads to, as written. */
  readonly target: string;
}

export interface PlainPage {
  /** Paragraphs, separated by blank lines; list items on lines of their own. */
  readonly text: string;
  /** In text order, not overlapping. */
  readonly links: readonly WikiLink[];
  /** Title of the page it redirects to, if it is a redirect. */
  readonly redirect: string | undefined;
  readonly isDisambiguation: boolean;
}

interface Line {
  readonly text: string;
  readonly links: readonly WikiLink[];
}

/** Sections without prose. */
const SKIPPED_SECTIONS =
  /^(references|notes|footnotes|citations|sources|bibliography|further reading|external links|see also|gallery|works cited)$/i;

/** What the parser could not resolve; a sentence that holds any of it is dropped. */
const RESIDUAL_MARKUP = /\[\[|\]\]|\{\{|\}\}|\{\||\|\}|<\/?[a-z]|'''|\[https?:/i;

/** Converts one page. Throws whatever the wikitext parser throws. */
export function plainPage(wikitext: string, title: string): PlainPage {
  const page = wtf(wikitext, { title });
  if (page.isRedirect()) {
    const redirect: { page?: string } | null = page.redirectTo();
    return { text: '', links: [], redirect: redirect?.page, isDisambiguation: false };
  }
  const paragraphs: Line[] = [];
  for (const section of page.sections()) {
    if (SKIPPED_SECTIONS.test(section.title())) continue;
    for (const paragraph of section.paragraphs() as wtf.Paragraph[]) {
      const prose = joinLines(paragraph.sentences().map(cleanSentence), ' ');
      const items = paragraph.lists().flatMap((list) => list.lines() as wtf.Sentence[]);
      paragraphs.push(joinLines([prose, ...items.map(cleanSentence)], '\n'));
    }
  }
  return {
    ...joinLines(paragraphs, '\n\n'),
    redirect: undefined,
    isDisambiguation: page.isDisambiguation(),
  };
}

function cleanSentence(sentence: wtf.Sentence): Line {
  const text = cleanText(sentence.text());
  if (RESIDUAL_MARKUP.test(text)) return { text: '', links: [] };
  const links: WikiLink[] = [];
  let from = 0;
  for (const link of sentence.links()) {
    const target = link.type() === 'internal' ? link.page() : '';
    const shown = cleanText(link.text());
    if (!target || !shown) continue;
    const start = findWhole(text, shown, from);
    if (start < 0) continue;
    from = start + shown.length;
    links.push({ start, end: from, target });
  }
  return { text, links };
}

/** Tags and entities that the parser leaves, and runs of white space. */
function cleanText(text: string): string {
  return decodeEntities(
    text.replace(/<\/?(li|ul|ol|br|p|div|span|small|big|center|i|b)\b[^<>]*>/gi, ' '),
  )
    .replace(/\s+/g, ' ')
    .replace(/\( ?[,;:] ?/g, '(') // what is left of a bracket whose first part was a template
    .replace(/ ?\( ?\)/g, '')
    .replace(/ ([,.;:])(?= |$)/g, '$1')
    .trim();
}

const WORD = /[\p{L}\p{N}]/u;

/** Where `part` occurs in `text` from `from` on, not inside a word; -1 if nowhere. */
function findWhole(text: string, part: string, from: number): number {
  for (let at = text.indexOf(part, from); at >= 0; at = text.indexOf(part, at + 1)) {
    const before = text[at - 1] ?? ' ';
    const after = text[at + part.length] ?? ' ';
    const cutsStart = WORD.test(before) && WORD.test(part[0] as string);
    const cutsEnd = WORD.test(after) && WORD.test(part.at(-1) as string);
    if (!cutsStart && !cutsEnd) return at;
  }
  return -1;
}

/** Joins lines that are not empty and moves their links along. */
function joinLines(lines: readonly Line[], separator: string): Line {
  const links: WikiLink[] = [];
  let text = '';
  for (const line of lines) {
    if (line.text === '') continue;
    if (text !== '') text += separator;
    for (const { start, end, target } of line.links) {
      links.push({ start: start + text.length, end: end + text.length, target });
    }
    text += line.text;
  }
  return { text, links };
}
