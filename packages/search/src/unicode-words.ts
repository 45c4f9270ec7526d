// Cuts text into words: the rules of Unicode's word segmentation that matter for letters and digits.

const UNKNOWN = 0;
const OTHER = 1; // ends a word
const LETTER = 2;
const DIGIT = 3;
const EXTEND = 4; // combining marks and joiners: belong to the character before
const CONNECTOR = 5; // underscore and its kin
const IDEOGRAPH = 6; // a word of its own
const MID_LETTER = 7; // joins letters: middle dot
const MID_NUMBER = 8; // joins digits: comma, semicolon
const MID_BOTH = 9; // joins either: apostrophe, full stop

/** Words longer than this many UTF-16 units are cut into pieces, as Lucene's tokenizer does. */
export const MAX_WORD_LENGTH = 255;

const MID_LETTERS = '\u00b7\u0387\u05f4\u2027';
const MID_NUMBERS =
  ',;\u037e\u0589\u060c\u060d\u066c\u07f8\u2044\ufe10\ufe14\ufe50\ufe54\uff0c\uff1b';
const MID_BOTHS = "'.\u2018\u2019\u2024\ufe52\uff07\uff0e";

function classify(character: string): number {
  if (MID_LETTERS.includes(character)) return MID_LETTER;
  if (MID_NUMBERS.includes(character)) return MID_NUMBER;
  if (MID_BOTHS.includes(character)) return MID_BOTH;
  if (/[\p{M}\p{Cf}]/u.test(character)) return EXTEND;
  if (/\p{Nd}/u.test(character)) return DIGIT;
  if (/[\p{Script=Han}\p{Script=Hiragana}]/u.test(character)) return IDEOGRAPH;
  if (/[\p{Alphabetic}\p{L}]/u.test(character)) return LETTER;
  if (/\p{Pc}/u.test(character)) return CONNECTOR;
  return OTHER;
}

/** Class of each UTF-16 unit of the basic plane, filled as characters are met. */
const classes = new Uint8Array(65536);

function classAt(text: string, position: number): number {
  const unit = text.charCodeAt(position);
  const known = classes[unit] as number;
  if (known !== UNKNOWN) return known;
  if (unit >= 0xd800 && unit <= 0xdbff) {
    return classify(String.fromCodePoint(text.codePointAt(position) as number));
  }
  const found = classify(String.fromCharCode(unit));
  classes[unit] = found;
  return found;
}

function unitsAt(text: string, position: number): number {
  return (text.codePointAt(position) as number) > 0xffff ? 2 : 1;
}

/** Whether a middle character of class `middle` joins `last` with the class `next` after it. */
function joins(last: number, middle: number, next: number): boolean {
  if (last === LETTER) return next === LETTER && (middle === MID_LETTER || middle === MID_BOTH);
  if (last === DIGIT) return next === DIGIT && (middle === MID_NUMBER || middle === MID_BOTH);
  return false;
}

/** Where the word that starts at `start` ends. */
function wordEnd(text: string, start: number): number {
  let position = start;
  let last = OTHER; // class of the last character that was not a combining mark
  while (position < text.length) {
    const current = classAt(text, position);
    if (current === LETTER || current === DIGIT || current === CONNECTOR) {
      last = current;
    } else if (current !== EXTEND) {
      const following = position + 1;
      if (following >= text.length || !joins(last, current, classAt(text, following))) break;
    }
    position += unitsAt(text, position);
  }
  return position;
}

/**
 * The words of a text, in order: runs of letters, digits and underscores with at least one letter or digit.
 *
 * Apostrophes and full stops join letters or digits, commas join digits ("don't", "U.S", "1,000.5"); a Han or Hiragana
 * character is a word of its own. This is UAX #29 without Katakana runs, Hebrew quotes and emoji, and with the colon
 * as a separator (its default since Unicode 15.1).
 * @see https://unicode.org/reports/tr29/
 */
export function unicodeWords(text: string): string[] {
  const words: string[] = [];
  let position = 0;
  while (position < text.length) {
    const current = classAt(text, position);
    if (current === IDEOGRAPH) {
      const end = position + unitsAt(text, position);
      words.push(text.slice(position, end));
      position = end;
    } else if (current === LETTER || current === DIGIT || current === CONNECTOR) {
      const end = wordEnd(text, position);
      if (current !== CONNECTOR || /[\p{Alphabetic}\p{Nd}]/u.test(text.slice(position, end))) {
        pushPieces(words, text, position, end);
      }
      position = end;
    } else {
      position += unitsAt(text, position);
    }
  }
  return words;
}

function pushPieces(words: string[], text: string, start: number, end: number): void {
  for (let from = start; from < end; from += MAX_WORD_LENGTH) {
    words.push(text.slice(from, Math.min(end, from + MAX_WORD_LENGTH)));
  }
}
