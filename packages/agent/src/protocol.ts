// The episode protocol as text: how tasks are shown and how turns are written and read. Knows nothing about tokens.
import { MASK_MARKER, sentencesOf, type Task } from '@masksearch/core';

/** Tags of the protocol, by what they enclose. */
export const TAGS = {
  think: { open: '<think>', close: '</think>' },
  search: { open: '<search>', close: '</search>' },
  information: { open: '<information>', close: '</information>' },
  answer: { open: '<answer>', close: '</answer>' },
} as const;

/** Tags that the policy writes. */
export const POLICY_TAGS: readonly string[] = [TAGS.think, TAGS.search, TAGS.answer].flatMap(
  ({ open, close }) => [open, close],
);
/** Every tag: none may stand inside another. */
export const ALL_TAGS: readonly string[] = [...POLICY_TAGS, ...Object.values(TAGS.information)];
/** Strings of a prompt that stand for a special token. */
export const PROMPT_MARKS: readonly string[] = [MASK_MARKER];
/** Ends a text where a model may have been taught so; never part of a valid turn. */
export const END_OF_TEXT = '<|endoftext|>';

const SLOT_SEPARATOR = ' ; ';

/** What a turn does: the two halves of `<think>…</think>` and `<search>…</search>` or `<answer>…</answer>`. */
export type Action =
  | {
      readonly type: 'search';
      readonly thought: string;
      readonly query: string;
      /** What the search is for: the number of a sentence with gaps, or of a question's step. Not searched. */
      readonly intent?: number;
    }
  | { readonly type: 'answer'; readonly thought: string; readonly text: string }
  | { readonly type: 'invalid'; readonly reason: string };

/**
 * The user's part of an episode. Short, because small models read it; no instruction, so no stray `[mask]`. The
 * sentences that have gaps come once more after the paragraph, numbered: read from left to right, a sentence does not
 * know of its gap until most of it is past, so a small model could not tell which one to look up.
 */
export function renderPrompt(task: Task): string {
  if (task.type === 'qa') return `Question: ${task.question}\n`;
  const gapped = sentencesOf(task.masked).filter((sentence) => sentence.includes(MASK_MARKER));
  const lines = gapped.map((sentence, i) => ` ${i + 1}: ${sentence}`);
  return [`Fill: ${task.masked}`, ...lines, ''].join('\n');
}

// Contents start with a space: with byte-level BPE a name then has the tokens it has inside a sentence, so that
// a model can copy it.

/**
 * A turn that searches. The intent is written before the query, `2: …`: with it, copying a numbered sentence of the
 * prompt starts at a place that occurs once. MaskSearch's own queries carry such a number too.
 */
export function renderSearchTurn(thought: string, query: string, intent?: number): string {
  const label = intent === undefined ? '' : ` ${intent}:`;
  return `${renderThought(thought)}${TAGS.search.open}${label} ${query}${TAGS.search.close}`;
}

/** A turn that answers. */
export function renderAnswerTurn(thought: string, answer: string): string {
  return `${renderThought(thought)}${TAGS.answer.open} ${answer}${TAGS.answer.close}`;
}

function renderThought(thought: string): string {
  return `${TAGS.think.open} ${thought}${TAGS.think.close}`;
}

/** The answer text of a list of slots. */
export function joinSlots(slots: readonly string[]): string {
  return slots.join(SLOT_SEPARATOR);
}

/** The slots of an answer text; never empty. */
export function splitSlots(answer: string): string[] {
  return answer.trim().split(/\s+;\s+/);
}

/** True if a slot text survives `joinSlots` and `splitSlots`. */
export function isJoinable(slot: string): boolean {
  const slots = splitSlots(joinSlots([slot, slot]));
  return slots.length === 2 && slots[0] === slot && slots[1] === slot;
}

const TURN =
  /^\s*<think>([^]*?)<\/think>\s*(?:<search>([^]*?)<\/search>|<answer>([^]*?)<\/answer>)([^]*)$/;

/**
 * Reads one policy turn. Strict: one thought, one action, no tag inside either, nothing after the action but what
 * shares its last token.
 * @param tail Text that the token which closed the action holds beyond it; '' with special tokens.
 */
export function parseTurn(turn: string, tail = ''): Action {
  const match = TURN.exec(turn);
  if (match === null) return invalidTurn('expected a thought, then a search or an answer');
  const [, thought = '', query, answer, rest = ''] = match;
  const content = query ?? answer ?? '';
  if (rest !== tail) return invalidTurn('text after the action');
  if (hasTag(thought) || hasTag(content)) return invalidTurn('a tag inside a tag');
  if (content.trim() === '') return invalidTurn('an empty action');
  if (query === undefined) {
    return { type: 'answer', thought: thought.trim(), text: content.trim() };
  }
  return { type: 'search', thought: thought.trim(), ...readQuery(content.trim()) };
}

const INTENT = /^(\d{1,2}): +(?=\S)/;

/** Takes the intent off a query, if it has one. */
function readQuery(content: string): { query: string; intent?: number } {
  const match = INTENT.exec(content);
  if (match === null) return { query: content };
  return { query: content.slice(match[0].length), intent: Number(match[1]) };
}

/** What a turn does that says nothing allowed. */
export function invalidTurn(reason: string): Action {
  return { type: 'invalid', reason };
}

function hasTag(text: string): boolean {
  return text.includes(END_OF_TEXT) || ALL_TAGS.some((tag) => text.includes(tag));
}
