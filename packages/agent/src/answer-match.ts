// When two answers count as the same: SQuAD's normalisation, over Unicode.
import type { Gold } from '@masksearch/core';

/** Lower case, without punctuation and English articles, single spaces. */
export function normalizeAnswer(text: string): string {
  return text
    .normalize('NFC')
    .toLowerCase()
    .replace(/\p{P}/gu, '')
    .replace(/(?<![\p{L}\p{N}])(?:a|an|the)(?![\p{L}\p{N}])/gu, ' ')
    .replace(/\s+/gu, ' ')
    .trim();
}

/** True if the answer is the gold or one of its aliases, after normalisation. An empty answer never is. */
export function isSameAnswer(answer: string, gold: Gold): boolean {
  const given = normalizeAnswer(answer);
  return (
    given !== '' && [gold.text, ...gold.aliases].some((name) => normalizeAnswer(name) === given)
  );
}
