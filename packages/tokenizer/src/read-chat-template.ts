// The chat template of a model folder: chat_template.jinja, or inside tokenizer_config.json.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readJsonFile } from '@masksearch/core';
import { ChatTemplate } from './chat-template.ts';
import { asObject, expectation } from './json-checks.ts';

/**
 * Reads a model folder's template.
 * @returns null if the folder has none, as base models do.
 * @throws {InputError} a file is malformed, or the template is no Jinja.
 */
export function readChatTemplate(folder: string): ChatTemplate | null {
  const configPath = join(folder, 'tokenizer_config.json');
  const config = existsSync(configPath) ? asObject(readJsonFile(configPath), configPath) : {};
  const tokens = {
    bosToken: tokenText(config['bos_token'], `${configPath}: bos_token`),
    eosToken: tokenText(config['eos_token'], `${configPath}: eos_token`),
  };
  const ownPath = join(folder, 'chat_template.jinja');
  if (existsSync(ownPath)) {
    return new ChatTemplate(readFileSync(ownPath, 'utf8'), { ...tokens, where: ownPath });
  }
  const where = `${configPath}: chat_template`;
  const source = templateText(config['chat_template'] ?? null, where);
  return source === null ? null : new ChatTemplate(source, { ...tokens, where });
}

/** The template itself, or the one named `default` of a list. */
function templateText(value: unknown, where: string): string | null {
  if (value === null || typeof value === 'string') return value;
  if (Array.isArray(value)) {
    for (const entry of value) {
      const { name, template } = asObject(entry, where);
      if (name === 'default' && typeof template === 'string') return template;
    }
  }
  throw expectation(where, 'a template, or a list with one named "default"', value);
}

/** A token as text: a string, or an object with its `content`; absent is ''. */
function tokenText(value: unknown, where: string): string {
  const text = typeof value === 'object' && value !== null ? Reflect.get(value, 'content') : value;
  if (text === undefined || text === null) return '';
  if (typeof text !== 'string') throw expectation(where, 'a token', value);
  return text;
}
