import { describe, expect, test } from 'vitest';
import { answerTokens, normalizeAnswer } from './normalize-answer.ts';

describe('normalizeAnswer', () => {
  // Values of SQuAD's evaluate-v1.1.py under Python 3.11.
  test.each([
    ['The  Cat!', 'cat'],
    ['an apple, a pear & the rest', 'apple pear rest'],
    ['Theatre', 'theatre'],
    ['A.B.C.', 'abc'],
    ['U.S.A', 'usa'],
    ["rock'n'roll", 'rocknroll'],
    ['the', ''],
    ['éa is a word', 'éa is word'],
    ['aé', 'aé'],
    ['a_the', 'athe'],
    ['the–end', '–end'],
    ['5a 5 a', '5a 5'],
    ['x\u00a0y\u3000z\u2003a', 'x y z'],
    ['x\u200by', 'x\u200by'],
    ['\u1d2ba b', '\u1d2ba b'],
    ['ÀÉÎ', 'àéî'],
    ['“The” end', '“ ” end'],
    ['', ''],
    [' \n\t ', ''],
    ['x\u001cy', 'x y'],
    ['\ufeffa b', '\ufeff b'],
  ])('%j gives %j', (text, expected) => {
    expect(normalizeAnswer(text)).toBe(expected);
  });

  test('is idempotent on ordinary text', () => {
    const once = normalizeAnswer('The Battle of the Alamo, 1836 (a siege)');
    expect(normalizeAnswer(once)).toBe(once);
  });

  test('reads ten million characters in linear time', () => {
    expect(answerTokens('a the x '.repeat(1_250_000))).toHaveLength(1_250_000);
  });
});
