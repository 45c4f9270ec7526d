// Model folders that play roles in this process: each is loaded once, however many roles it has.
import type { ChatModel } from '@masksearch/chat';
import { ConfigError } from '@masksearch/core';
import type { Sampler } from '@masksearch/model';
import type { InProcessChat } from '@masksearch/serve';
import type { RunConfig } from '../config/run-config.ts';
import type { ServedModel } from '../serving/served-model.ts';
import type { PlayerUse, RolePlayer } from './role-player.ts';

type Settings = RunConfig['synthesis']['models'];

interface Loaded {
  readonly served: ServedModel;
  chat?: InProcessChat;
  sampler?: Sampler;
}

export class LocalModels {
  readonly #settings: Settings;
  readonly #loaded = new Map<string, Loaded>();

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#settings, name);
  }

  /** Answers chats. @throws {InputError} the folder holds no model or no tokenizer. */
  async chat(name: string): Promise<ChatModel> {
    const { maxSequences, maxContextTokens } = this.#settingsOf(name);
    const loaded = await this.#load(name);
    const { InProcessChat } = await import('@masksearch/serve');
    const limits = { maxSequences, maxContextTokens };
    return (loaded.chat ??= new InProcessChat({ ...loaded.served.server, limits }));
  }

  /** Plays episodes. @throws as `chat`. */
  async player(name: string): Promise<RolePlayer> {
    const loaded = await this.#load(name);
    const { maxSequences } = this.#settingsOf(name);
    return {
      name: `in-process:${name}`,
      samplerFor: (use) => {
        checkTokenizer(name, loaded.served, use);
        const { model } = loaded.served.server;
        const maxContextTokens = Math.min(use.maxContextTokens, model.config.maxPositions);
        return (loaded.sampler ??= model.sampler({ maxSequences, maxContextTokens }));
      },
    };
  }

  async close(): Promise<void> {
    for (const { chat, sampler, served } of this.#loaded.values()) {
      await chat?.close();
      await sampler?.close();
      await served.close();
    }
    this.#loaded.clear();
  }

  #settingsOf(name: string): Settings[string] {
    const settings = this.#settings[name];
    if (settings === undefined) {
      throw new ConfigError(`synthesis.models: expected a model named ${name}, found none.`);
    }
    return settings;
  }

  async #load(name: string): Promise<Loaded> {
    const known = this.#loaded.get(name);
    if (known !== undefined) return known;
    const { folder, threads } = this.#settingsOf(name);
    // The engine is loaded only where a model is.
    const { openServedModel } = await import('../serving/served-model.ts');
    const served = await openServedModel({
      model: folder,
      name,
      threads,
      device: 'cpu',
      chatTemplate: 'auto',
      toolCalls: 'tags',
    });
    const loaded = { served };
    this.#loaded.set(name, loaded);
    return loaded;
  }
}

/** A player reads and writes ids, so they must mean the same to it. */
function checkTokenizer(name: string, { server }: ServedModel, { tokenizer }: PlayerUse): void {
  if (server.tokenizer.hash === tokenizer.hash) return;
  throw new ConfigError(
    `synthesis.roles.player: expected a model with the tokenizer of the run, received ${name} with another one.`,
  );
}
