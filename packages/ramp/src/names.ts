// Rule for names in English text: runs of capitalised words with connectors, not mere sentence starts.
import { splitSentences } from '@masksearch/core';
import type { Span } from '@masksearch/core';
import { spanOf } from './spans.ts';

interface Word {
  readonly text: string;
  readonly start: number;
  readonly end: number;
  readonly startsSentence: boolean;
}

/** Words that open sentences far more often than names. */
const FUNCTION_WORDS = new Set(
  (
    'a about above across after afterwards again against all almost along already also although always among an and another any are ' +
    'around as at be because been before behind being below besides between both but by can could despite did do does ' +
    'during each early either even eventually every except few finally first following for four from further had has have he hence her here ' +
    'his how however i if in indeed initially instead into is it its later like many may meanwhile more moreover most much near neither ' +
    'never nevertheless next no nor not nothing now of often on once one only or other others our out over own perhaps rather ' +
    'recently second several she should similarly since so some sometimes soon still such than that the their them then there ' +
    'therefore these they third this those though three through throughout thus to today together two under unlike until up upon us ' +
    'usually various very was we were what when whenever where whereas whether which while who whom whose why will with within without ' +
    'would yet you your'
  ).split(' '),
);
const CONNECTORS = new Set(
  'of the de von van der den la le du da di del dos ibn bin al for upon y'.split(' '),
);
const CALENDAR = new Set(
  (
    'january february march april may june july august september october november december ' +
    'monday tuesday wednesday thursday friday saturday sunday'
  ).split(' '),
);
/** Titles that are written with a full stop inside a name. */
const DOTTED = /^(?:\p{Lu}|Dr|Mr|Mrs|Ms|St|Jr|Sr|Prof)$/u;
const WORD = /[\p{L}\p{N}][\p{L}\p{M}\p{N}]*(?:['’\-‐‑.&][\p{L}\p{N}][\p{L}\p{M}\p{N}]*)*/gu;
/** Apollo 11, Boeing 747: a short number that follows a name belongs to it. */
const NAME_NUMBER = /^\d{1,3}$/u;

/** True for a word that opens sentences rather than names anything, in any case. */
export function isFunctionWord(word: string): boolean {
  return FUNCTION_WORDS.has(word.toLowerCase());
}

/** Names: people, places, organisations, works; one kind, `name`. */
export function nameSpans(text: string): Span[] {
  const found = readWords(text);
  const vocabulary = {
    named: new Set(found.filter((w) => !w.startsSentence && isCapitalised(w)).map((w) => w.text)),
    ordinary: new Set(found.filter((word) => !isCapitalised(word)).map((word) => word.text)),
  };
  const spans: Span[] = [];
  for (let i = 0; i < found.length;) {
    if (!isCapitalised(found[i])) {
      i++;
      continue;
    }
    const last = endOfRun(text, found, i);
    const run = trimStart(found.slice(i, last + 1), vocabulary);
    const [first] = run;
    const end = run.at(-1)?.end;
    if (first && end !== undefined) spans.push(spanOf(text, [first.start, end], 'name'));
    i = last + 1;
  }
  return spans;
}

function readWords(text: string): Word[] {
  const sentences = splitSentences(text);
  const found: Word[] = [];
  let s = 0;
  for (const match of text.matchAll(WORD)) {
    const start = match.index;
    const body = match[0].replace(/['’]s$/u, '');
    while (s + 1 < sentences.length && start >= (sentences[s + 1]?.start ?? 0)) s++;
    const previousEnd = found.at(-1)?.end ?? -1;
    const startsSentence = previousEnd <= (sentences[s]?.start ?? 0);
    found.push({ text: body, start, end: start + body.length, startsSentence });
  }
  return found;
}

function isCapitalised(word: Word | undefined): boolean {
  return (
    word !== undefined && /^[\p{Lu}\p{Lt}]/u.test(word.text) && !/^I(?:['’]|$)/u.test(word.text)
  );
}

/** Index of the last word of the run that starts at `i`. */
function endOfRun(text: string, found: readonly Word[], i: number): number {
  let last = i;
  for (let j = i + 1; j < found.length; j++) {
    const word = found[j];
    const previous = found[j - 1];
    if (!word || !previous || word.startsSentence || !isNameGap(text, previous, word)) break;
    if (isCapitalised(word) || (j === last + 1 && NAME_NUMBER.test(word.text))) last = j;
    else if (!CONNECTORS.has(word.text) || j - last > 2) break;
  }
  return last;
}

function isNameGap(text: string, previous: Word, word: Word): boolean {
  const gap = text.slice(previous.end, word.start);
  return gap === ' ' || (gap === '. ' && DOTTED.test(previous.text));
}

/** How the text writes its words elsewhere. */
interface Vocabulary {
  /** Capitalised within a sentence. */
  readonly named: ReadonlySet<string>;
  /** In small letters. */
  readonly ordinary: ReadonlySet<string>;
}

/** Drops what is capitalised for its place only: a sentence's first word, a month, a weekday. */
function trimStart(run: readonly Word[], vocabulary: Vocabulary): readonly Word[] {
  const [first, second] = run;
  if (!first) return run;
  const lower = first.text.toLowerCase();
  if (!second && isNoName(lower)) return [];
  if (!first.startsSentence) return run;
  const rest = withoutConnectors(run.slice(1));
  if (FUNCTION_WORDS.has(lower)) return trimStart(rest, vocabulary);
  if (second) return vocabulary.ordinary.has(lower) ? rest : run;
  const isAcronym = /^[\p{Lu}\p{N}.&-]{2,}$/u.test(first.text);
  return isAcronym || vocabulary.named.has(first.text) ? run : [];
}

/** A single letter, function word, month or weekday names nothing by itself. */
function isNoName(lower: string): boolean {
  return lower.length === 1 || FUNCTION_WORDS.has(lower) || CALENDAR.has(lower);
}

function withoutConnectors(run: readonly Word[]): readonly Word[] {
  const from = run.findIndex(isCapitalised);
  return from < 0 ? [] : run.slice(from);
}
