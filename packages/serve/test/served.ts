// Servers of a test, closed when it ends, and unmodified `openai` clients that drive them.
import { ProtocolCodec, renderAnswerTurn, renderSearchTurn } from '@masksearch/agent';
import { createNativeModel } from '@masksearch/engine';
import type { LanguageModel } from '@masksearch/model';
import type { SearchTool } from '@masksearch/search';
import OpenAI, { APIError } from 'openai';
import type {
  ChatCompletionCreateParamsNonStreaming,
  ChatCompletionFunctionTool,
} from 'openai/resources';
import { afterEach, expect } from 'vitest';
import { type ChatServerOptions, startChatServer } from '../src/chat/chat-server.ts';
import type { RunningServer } from '../src/http/server.ts';
import { protocolTokenizer, ScriptedModel } from './scripted-model.ts';

/** Those that are running. */
export const open: RunningServer[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close(0)));
});

export const codec = new ProtocolCodec(protocolTokenizer);

type Options = Partial<ChatServerOptions> & Pick<ChatServerOptions, 'model'>;

export async function serve(options: Options): Promise<string> {
  const server = await startChatServer({
    name: 'tiny',
    tokenizer: protocolTokenizer,
    fingerprint: 'f',
    port: 0,
    ...options,
  });
  open.push(server);
  return server.url;
}

export async function connect(options: Options, apiKey = 'none'): Promise<OpenAI> {
  return new OpenAI({ baseURL: `${await serve(options)}/v1`, apiKey, maxRetries: 0 });
}

/** A model that says these texts, one per turn. */
export const saying = (...texts: string[]) =>
  new ScriptedModel(texts.map((text) => [...codec.encodeTurn(text)]));

/** A model of the engine with random weights. */
export function tinyModel(): Promise<LanguageModel> {
  const config = {
    vocabularySize: protocolTokenizer.vocabularySize,
    width: 32,
    layers: 2,
    heads: 2,
    keyValueHeads: 1,
    headWidth: 16,
    feedForwardWidth: 48,
    ropeTheta: 10_000,
    normEpsilon: 1e-6,
    maxPositions: 512,
    attentionBias: true,
    tiedEmbeddings: true,
  };
  return createNativeModel({ config, seed: 5, threads: 1 });
}

export const user = (content: string) => ({ role: 'user' as const, content });
export const ask = (more: Partial<ChatCompletionCreateParamsNonStreaming> = {}) => ({
  model: 'tiny',
  messages: [user('Question: What is the capital of Latvia?')],
  ...more,
});

export async function refusal(promise: Promise<unknown>): Promise<APIError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(APIError);
  return error as APIError;
}

export async function drain(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream);
}

export const searchTool: ChatCompletionFunctionTool = {
  type: 'function',
  function: {
    name: 'web_search',
    description: 'Searches.',
    parameters: {
      type: 'object',
      properties: { queries: { type: 'array', items: { type: 'string' } } },
      required: ['queries'],
    },
  },
};
export const SEARCH_TURN = renderSearchTurn('1', 'capital of Latvia');
export const ANSWER_TURN = renderAnswerTurn('Riga', 'Riga');
export const INFORMATION = 'Riga: Riga is the capital of Latvia.';
export const riga: SearchTool = {
  provider: 'fixed',
  search: async () => [
    { id: 'p', documentId: 'd', title: 'Riga', text: 'Riga is the capital of Latvia.', score: 2 },
  ],
};
