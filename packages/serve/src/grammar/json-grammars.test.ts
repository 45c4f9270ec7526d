// Which grammars are kept for the next request.
import { expect, it } from 'vitest';
import { protocolTokenizer as tokenizer } from '../../test/scripted-model.ts';
import { JsonGrammars } from './json-grammars.ts';
import { literal } from './pattern.ts';

const { vocabularySize } = tokenizer;

it('keeps the grammars that were used last, one for a key', () => {
  const grammars = new JsonGrammars({ tokenizer, vocabularySize, ends: [] });
  const grammarOf = (key: string) =>
    grammars.grammarOf(key, { pattern: literal(`"${key}"`), isWhole: true });
  const [first, second] = [grammarOf('first'), grammarOf('second')];
  for (let i = 0; i < 14; i++) grammarOf(`other ${i}`);
  expect(grammarOf('first')).toBe(first);
  grammarOf('one more');
  expect(grammarOf('first')).toBe(first);
  expect(grammarOf('second')).not.toBe(second);
});

it('forgets the oldest where those in use have many states', () => {
  const grammars = new JsonGrammars({ tokenizer, vocabularySize, ends: [] });
  const grammarOf = (key: string) =>
    grammars.grammarOf(key, { pattern: literal(key.repeat(10_200)), isWhole: true });
  const fill = (key: string) => {
    const grammar = grammarOf(key);
    const position = grammar.start();
    const token = tokenizer.encode(key)[0] as number;
    while (!position.isOver) position.take(token);
    return grammar;
  };
  const first = fill('a');
  expect(grammarOf('a')).toBe(first);
  const second = fill('b');
  expect(grammarOf('b')).toBe(second);
  expect(grammarOf('a')).not.toBe(first);
});
