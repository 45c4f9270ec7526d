// What the policy reads of a search: retrieved text made harmless, one document per line, inside one tag.
import { InputError, type SearchResult } from '@masksearch/core';
import { neutralise } from './neutralise.ts';
import { TAGS } from './protocol.ts';

/** Shown when a search returns nothing. */
export const NO_RESULTS = 'no results';

/** Characters of a title and of a text that are looked at; what follows could never fit a context. */
const TITLE_CHARACTERS = 300;
const TEXT_CHARACTERS = 20_000;

/** One line per result: ` Title: text`, neutralised and cut to a length that is cheap to work with. */
export function renderDocument({ title, text }: Pick<SearchResult, 'title' | 'text'>): string {
  const safeTitle = neutralise(title.slice(0, TITLE_CHARACTERS));
  const safeText = neutralise(text.slice(0, TEXT_CHARACTERS));
  return safeTitle === '' ? ` ${safeText}` : ` ${safeTitle}: ${safeText}`;
}

/**
 * The lines of an `<information>` block that fit: whole documents are dropped from the end; if the first alone is too
 * long it is cut, at a space where there is one.
 *
 * @param countTokens Tokens of a block's inner text.
 * @param budgetTokens Tokens the inner text may have.
 * @returns the inner text, or null if not even a part of the first document fits.
 */
export function fitDocuments(
  documents: readonly string[],
  countTokens: (text: string) => number,
  budgetTokens: number,
): string | null {
  if (documents.length === 0) documents = [` ${NO_RESULTS}`];
  for (let kept = documents.length; kept > 0; kept--) {
    const text = documents.slice(0, kept).join('\n');
    if (countTokens(text) <= budgetTokens) return text;
  }
  return cutToFit(documents[0] as string, countTokens, budgetTokens);
}

function cutToFit(
  document: string,
  countTokens: (text: string) => number,
  budgetTokens: number,
): string | null {
  const fits = (length: number): boolean => countTokens(document.slice(0, length)) <= budgetTokens;
  // The longest prefix found by bisection; token counts grow with the text but for a token or two at its end.
  let low = 0;
  let high = document.length;
  while (low + 1 < high) {
    const middle = (low + high) >> 1;
    if (fits(middle)) low = middle;
    else high = middle;
  }
  const space = document.lastIndexOf(' ', low);
  for (let length = space > 0 ? space : low; length > 1; length--) {
    const text = document.slice(0, length);
    if (text.isWellFormed() && fits(length)) return text;
  }
  return null;
}

/** The block around its inner text. */
export function wrapInformation(inner: string): string {
  return `${TAGS.information.open}${inner}${TAGS.information.close}`;
}

/** The inner text of a block, or null if `text` is no well-formed block. */
export function unwrapInformation(text: string): string | null {
  const { open, close } = TAGS.information;
  if (!text.startsWith(open) || !text.endsWith(close)) return null;
  const inner = text.slice(open.length, text.length - close.length);
  return /[<>]/.test(inner) ? null : inner;
}

/** The inner text of a block. @throws {InputError} `text` is no well-formed block. */
export function innerInformation(text: string): string {
  const inner = unwrapInformation(text);
  if (inner !== null) return inner;
  throw new InputError(
    `innerInformation: expected one ${TAGS.information.open} block without tags inside, received ${JSON.stringify(text.slice(0, 80))}.`,
  );
}
