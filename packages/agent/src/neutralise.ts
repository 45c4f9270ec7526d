// Makes foreign text harmless before a model reads it: it stays readable, but cannot act as markup of any kind.

/** Angle brackets and all that Unicode normalisation, which some tokenizers do, turns into them. */
const OPENING = /[<\uff1c\ufe64\u226e]/gu;
const CLOSING = /[>\uff1e\ufe65\u226f]/gu;

/** Something short in square brackets, those that normalise to them included. */
const BRACKETED = /[[\uff3b\ufe47]([^[\]\uff3b\uff3d\ufe47\ufe48]{1,30})[\]\uff3d\ufe48]/gu;
/** Marks that chat templates write in square brackets. */
const TEMPLATE_MARK =
  /^\/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|ARGS|CALL_ID|IMG|THINK|PREFIX|MIDDLE|SUFFIX|mask)$/i;

/** Joiners that belong to a script or an emoji stand between two characters beyond ASCII. */
const JOINERS = /(?<![^\x00-\x7f\p{Cf}])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f\p{Cf}])/gu;
/** Bidirectional marks, zero-width spaces, soft hyphens, invisible tags, and letters that show nothing. */
const INVISIBLE = /(?![\u200c\u200d])(?:\p{Cf}|\u034f|\u115f|\u1160|\u17b4|\u17b5|\u3164|\uffa0)/gu;
/** One selector chooses how a character looks; a row of them hides a message. */
const SELECTORS = /([\ufe00-\ufe0f\u{e0100}-\u{e01ef}])[\ufe00-\ufe0f\u{e0100}-\u{e01ef}]+/gu;
/** Languages stack up to a few marks on a letter. */
const STACKED_MARKS = /(\p{M}{6})\p{M}+/gu;
const BLANKS = /[\s\p{Cc}\u2800]+/gu;

/**
 * Retrieved text that can neither open nor close a tag of the protocol, nor spell a special token of a chat template or
 * of ours, nor start a line of its own, nor hide or reorder what it says:
 * - angle brackets become ‹ and ›; marks such as `[INST]` and `[mask]` get round brackets;
 * - bidirectional and other invisible characters go, but for joiners inside words and emoji;
 * - white space, line breaks and control characters included, becomes single spaces.
 *
 * Neutralising twice changes nothing more.
 */
export function neutralise(text: string): string {
  return text
    .toWellFormed()
    .replace(INVISIBLE, '')
    .replace(JOINERS, '')
    .replace(SELECTORS, '$1')
    .replace(STACKED_MARKS, '$1')
    .replace(OPENING, '‹')
    .replace(CLOSING, '›')
    .replace(BLANKS, ' ')
    .replace(BRACKETED, (whole, inner: string) => (isTemplateMark(inner) ? `(${inner})` : whole))
    .trim();
}

function isTemplateMark(inner: string): boolean {
  return TEMPLATE_MARK.test(inner.normalize('NFKC').trim());
}
