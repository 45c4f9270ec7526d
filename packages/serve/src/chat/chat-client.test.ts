// Our own client of OpenAI-compatible endpoints drives our own server, whole and streamed, tools and keys included.
import { renderSearchTurn, ProtocolCodec } from '@masksearch/agent';
import { ChatClient, type EndpointConfig } from '@masksearch/chat';
import { Secret } from '@masksearch/core';
import { afterEach, expect, it } from 'vitest';
import { protocolTokenizer as tokenizer, ScriptedModel } from '../../test/scripted-model.ts';
import type { RunningServer } from '../http/server.ts';
import { startChatServer } from './chat-server.ts';

const codec = new ProtocolCodec(tokenizer);
let server: RunningServer | undefined;
let client: ChatClient | undefined;
afterEach(async () => {
  await client?.close();
  await server?.close(0);
});

async function connect(text: string, config: Partial<EndpointConfig>): Promise<ChatClient> {
  const model = new ScriptedModel([[...codec.encodeTurn(text)]]);
  const key = new Secret('s3cret');
  server = await startChatServer({
    name: 'tiny',
    model,
    tokenizer,
    fingerprint: 'f',
    port: 0,
    key,
  });
  client = new ChatClient({
    name: 'own',
    config: { baseUrl: `${server.url}/v1`, model: 'tiny', apiKeyVariable: 'KEY', ...config },
    environment: { KEY: 's3cret' },
  });
  return client;
}

const messages = [{ role: 'user', content: 'Question: What is Riga?' }] as const;

it.each([[false], [true]])('answers, stream %s', async (stream) => {
  const chat = await connect('Riga is the capital of Latvia.', { stream });
  const request = {
    messages,
    maxTokens: 30,
    temperature: 0.7,
    seed: 3,
    stop: [' of'],
    topLogProbs: 0,
  };
  const reply = await chat.complete(request);
  expect(reply).toMatchObject({ text: 'Riga is the capital', finish: 'stop', model: 'tiny' });
  expect(reply.usage.inputTokens).toBe(codec.encodePrompt('Question: What is Riga?\n').length);
  expect(reply.usage.outputTokens).toBeGreaterThan(3);
  expect(reply.logProbs?.map(({ token }) => token).join('')).toBe('Riga is the capital');
});

it.each([[false], [true]])('calls the search, stream %s', async (stream) => {
  const chat = await connect(renderSearchTurn('1', 'capital of Latvia'), { stream });
  const parameters = { type: 'object', properties: { query: { type: 'string' } } };
  const tools = [{ name: 'search', description: 'Searches.', parameters }];
  expect(await chat.complete({ messages, maxTokens: 50, tools })).toMatchObject({
    text: '<think> 1</think>',
    finish: 'tool-calls',
    toolCalls: [{ name: 'search', arguments: '{"query":"capital of Latvia"}' }],
  });
});
