import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readChatTemplate } from './read-chat-template.ts';

const root = mkdtempSync(join(tmpdir(), 'masksearch-chat-'));
afterAll(() => rmSync(root, { recursive: true }));

function folder(files: Readonly<Record<string, unknown>>): string {
  const path = mkdtempSync(join(root, 'model-'));
  for (const [name, value] of Object.entries(files)) {
    writeFileSync(join(path, name), typeof value === 'string' ? value : JSON.stringify(value));
  }
  return path;
}

const render = (path: string): string | undefined =>
  readChatTemplate(path)?.render([{ role: 'user', content: 'hi' }]);

describe('readChatTemplate', () => {
  it('finds it in tokenizer_config.json, alone or named, with the tokens it prints', () => {
    const source = '{{ bos_token + messages[0].content + eos_token }}';
    const tokens = { bos_token: '<s>', eos_token: { content: '</s>', lstrip: false } };
    const config = { ...tokens, chat_template: source };
    expect(render(folder({ 'tokenizer_config.json': config }))).toBe('<s>hi</s>');
    const list = [
      { name: 'rag', template: 'no' },
      { name: 'default', template: source },
    ];
    const named = { ...tokens, chat_template: list };
    expect(render(folder({ 'tokenizer_config.json': named }))).toBe('<s>hi</s>');
  });

  it('prefers chat_template.jinja, as transformers does', () => {
    const files = {
      'chat_template.jinja': 'own{{ bos_token }}',
      'tokenizer_config.json': { bos_token: '<s>', chat_template: 'other' },
    };
    expect(render(folder(files))).toBe('own<s>');
  });

  it('is null for a model without one', () => {
    expect(readChatTemplate(folder({}))).toBeNull();
    expect(readChatTemplate(folder({ 'tokenizer_config.json': { eos_token: null } }))).toBeNull();
  });

  it.each<[string, unknown, RegExp]>([
    ['damaged JSON', '{', /tokenizer_config\.json: expected JSON/],
    ['a number as template', { chat_template: 1 }, /chat_template: expected a template, or a list/],
    ['a list without a default', { chat_template: [{ name: 'x' }] }, /one named "default"/],
    ['a number as token', { bos_token: 5 }, /bos_token: expected a token, received 5/],
    ['no Jinja', { chat_template: '{% for %}' }, /chat_template: expected a Jinja template/],
  ])('refuses %s', (_, config, message) => {
    expect(() => readChatTemplate(folder({ 'tokenizer_config.json': config }))).toThrow(message);
  });
});
