// The values of JSON as patterns: what a schema is put together from. Knows nothing about schemas.
import {
  byteIn,
  characterOf,
  choice,
  literal,
  optional,
  type Pattern,
  repeat,
  sequence,
} from './pattern.ts';

/** Levels of a value that may be anything. */
export const ANY_DEPTH = 16;
/** Digits of a number before its point, so that every integer is exact. */
const INTEGER_DIGITS = 15;
const FRACTION_DIGITS = 17;
const EXPONENT_DIGITS = 2;
export const LARGEST_INTEGER = 10 ** INTEGER_DIGITS - 1;
/** No number is above it. */
export const LARGEST_NUMBER = 10 ** (INTEGER_DIGITS + 10 ** EXPONENT_DIGITS - 1);
const MOST_INDENT = 20;

// White space as models write it: none, one blank, or a line break and its indent.
const space = choice(
  sequence(),
  literal(' '),
  sequence(literal('\n'), repeat(literal(' '), 0, MOST_INDENT)),
);
const comma = sequence(literal(','), space);
const colon = sequence(literal(':'), space);

const tail = byteIn([0x80, 0xbf]);
const hex = characterOf('0123456789abcdefABCDEF');
const escaped = sequence(
  literal('\\'),
  choice(characterOf('"\\/bfnrt'), sequence(literal('u'), hex, hex, hex, hex)),
);
/** One UTF-16 unit: what JavaScript counts as one. Well-formed UTF-8, see RFC 3629 §4. */
const unit = choice(
  byteIn([0x20, 0x21], [0x23, 0x5b], [0x5d, 0x7f]),
  escaped,
  sequence(byteIn([0xc2, 0xdf]), tail),
  sequence(byteIn([0xe0, 0xe0]), byteIn([0xa0, 0xbf]), tail),
  sequence(byteIn([0xe1, 0xec], [0xee, 0xef]), tail, tail),
  sequence(byteIn([0xed, 0xed]), byteIn([0x80, 0x9f]), tail),
);
const pair = choice(
  sequence(byteIn([0xf0, 0xf0]), byteIn([0x90, 0xbf]), tail, tail),
  sequence(byteIn([0xf1, 0xf3]), tail, tail, tail),
  sequence(byteIn([0xf4, 0xf4]), byteIn([0x80, 0x8f]), tail, tail),
);
const quote = literal('"');
export const string = sequence(quote, repeat(choice(unit, pair)), quote);

const digit = characterOf('0123456789');
export const integer = sequence(
  optional(literal('-')),
  choice(literal('0'), sequence(characterOf('123456789'), repeat(digit, 0, INTEGER_DIGITS - 1))),
);
export const number = sequence(
  integer,
  optional(sequence(literal('.'), repeat(digit, 1, FRACTION_DIGITS))),
  optional(
    sequence(characterOf('eE'), optional(characterOf('+-')), repeat(digit, 1, EXPONENT_DIGITS)),
  ),
);
export const boolean = choice(literal('true'), literal('false'));
export const nothing = literal('null');

const anyValues: Pattern[] = [choice(string, number, boolean, nothing)];
/** Any JSON value of so many levels at most. */
export function anyValue(depth: number): Pattern {
  return (anyValues[depth] ??= choice(
    anyValue(0),
    mapOf(anyValue(depth - 1)),
    listOf(anyValue(depth - 1)),
  ));
}

/** An object with any keys. */
export function mapOf(value: Pattern): Pattern {
  const member = sequence(string, colon, value);
  return enclosed('{', separated(member, 0, Infinity), '}');
}

/** An array of so many items. */
export function listOf(item: Pattern, least = 0, most = Infinity): Pattern {
  return enclosed('[', separated(item, least, most), ']');
}

function enclosed(open: string, content: Pattern, close: string): Pattern {
  return sequence(literal(open), space, content, space, literal(close));
}

function separated(item: Pattern, least: number, most: number): Pattern {
  if (most === 0) return sequence();
  const some = sequence(item, repeat(sequence(comma, item), Math.max(0, least - 1), most - 1));
  return least === 0 ? optional(some) : some;
}

/** A string of so many UTF-16 units; with an upper bound, of characters of one unit only. */
export function stringOf(least: number, most: number): Pattern {
  const character = most === Infinity ? choice(unit, pair) : unit;
  return sequence(quote, repeat(character, least, most), quote);
}

export interface Member {
  readonly name: string;
  readonly value: Pattern;
  readonly isNeeded: boolean;
}

/** An object with these members, in this order; those that are not needed may be left out. */
export function objectOf(members: readonly Member[]): Pattern {
  const [first] = members.reduceRight<readonly [first: Pattern, later: Pattern]>(
    ([first, later], { name, value, isNeeded }) => {
      const member = sequence(literal(JSON.stringify(name)), colon, value, later);
      const next = sequence(comma, member);
      return isNeeded ? [member, next] : [choice(member, first), choice(next, later)];
    },
    [sequence(), sequence()],
  );
  return enclosed('{', first, '}');
}
