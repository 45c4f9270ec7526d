// How the model of a run is talked to: in its own chat template and tool format, or in the plain protocol.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createChatCodec, ProtocolCodec, type EpisodeCodec } from '@masksearch/agent';
import { ConfigError } from '@masksearch/core';
import { readChatTemplate, type Tokenizer } from '@masksearch/tokenizer';
import type { RunConfig } from '../config/run-config.ts';
import { hashPath } from '../run/hash-path.ts';
import type { RunContext } from '../run/run-folder.ts';
import { readTokenizer } from './read-tokenizer.ts';

export interface Conversation {
  readonly tokenizer: Tokenizer;
  readonly codec: EpisodeCodec;
}

/**
 * The tokenizer and the codec that every stage of a run uses, so that what is trained on is what is sampled.
 * @throws {ConfigError} tool calls are asked for and the model has no chat template.
 * @throws {InputError} the template cannot be used; the message names file and reason.
 */
export function openConversation(
  run: Pick<RunContext, 'folder'>,
  config: Pick<RunConfig, 'model' | 'episode'>,
): Conversation {
  const { from, chatTemplate, toolCalls } = config.model;
  const tokenizer = readTokenizer(run, config);
  const template = from === null || chatTemplate === 'none' ? null : readChatTemplate(from);
  if (template !== null) {
    const { answerForm } = config.episode;
    return { tokenizer, codec: createChatCodec({ tokenizer, template, toolCalls, answerForm }) };
  }
  if (toolCalls !== 'tags') {
    throw new ConfigError(
      `model.toolCalls: expected a chat template for ${toolCalls}, found none in ${from ?? 'a model without a folder'}; use tags.`,
    );
  }
  return { tokenizer, codec: new ProtocolCodec(tokenizer) };
}

/** Files of a model folder that decide the tokens of an episode. */
const FILES = ['tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja'];

/** Hashes of what decides the conversation, for manifests; nothing for a model without a folder. */
export async function conversationInputs({
  model: { from },
}: RunConfig): Promise<Record<string, string>> {
  if (from === null) return {};
  const paths = FILES.map((name) => join(from, name)).filter((path) => existsSync(path));
  return Object.fromEntries(
    await Promise.all(paths.map(async (path) => [path, await hashPath(path)] as const)),
  );
}

/** The choices that decide it, for manifests; nothing where a run makes none. */
export function conversationConfig({ model: { from, chatTemplate, toolCalls } }: RunConfig): {
  readonly chatTemplate?: string;
  readonly toolCalls?: string;
} {
  return from === null ? {} : { chatTemplate, toolCalls };
}
