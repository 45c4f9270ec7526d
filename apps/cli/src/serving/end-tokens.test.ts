// Which tokens end the turns of a chat model: read from its folder.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { trainBpe } from '@masksearch/tokenizer';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { endTokensOf } from './end-tokens.ts';

const tokenizer = trainBpe([], {
  vocabularySize: 258,
  specialTokens: ['<|endoftext|>', '<|im_end|>'],
});
const id = (token: string): number => tokenizer.specialId(token);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'masksearch-end-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const write = (name: string, value: unknown): void =>
  writeFileSync(join(folder, name), typeof value === 'string' ? value : JSON.stringify(value));

test('takes what any of the files names, once', () => {
  write('generation_config.json', {
    eos_token_id: [id('<|im_end|>'), id('<|endoftext|>'), 999_999],
  });
  write('config.json', { eos_token_id: id('<|endoftext|>') });
  write('tokenizer_config.json', { eos_token: { content: '<|im_end|>' } });
  expect(endTokensOf(folder, tokenizer).sort()).toEqual(['<|endoftext|>', '<|im_end|>']);
});

test('refuses a folder that names none, or a token that is not special', () => {
  expect(() => endTokensOf(folder, tokenizer)).toThrow(/expected eos_token_id or eos_token/);
  write('tokenizer_config.json', { eos_token: 'end' });
  expect(() => endTokensOf(folder, tokenizer)).toThrow(/expected eos_token_id or eos_token/);
});

test('names the file that is malformed', () => {
  write('config.json', '{');
  expect(() => endTokensOf(folder, tokenizer)).toThrow(/config\.json: expected JSON/);
  write('config.json', { eos_token_id: 'x' });
  expect(() => endTokensOf(folder, tokenizer)).toThrow(/config\.json: eos_token_id/);
});
