// The search section opens the tool that it names, and says what is missing.
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildIndexInMemory } from '@masksearch/search';
import { startRetrieveServer } from '@masksearch/serve';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseConfig } from '../config/load.ts';
import { runConfigSchema } from '../config/run-config.ts';
import type { RunContext } from '../run/run-folder.ts';
import { searchInputs, searchSettings, withSearch } from './search-source.ts';

let folder: string;
const servers: Server[] = [];
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'masksearch-search-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
  for (const server of servers) server.close();
});

const request = { query: 'city', topK: 2 };

const configure = (search: object, more: object = {}) =>
  parseConfig(runConfigSchema, { search, ...more }, 'test');

/** Opens the tool of a search section, tells it of the training's progress, and asks once. */
function ask(search: object, more: object = {}, progress = 0) {
  const run: RunContext = {
    folder,
    seed: 1,
    fresh: false,
    signal: new AbortController().signal,
    say: () => undefined,
  };
  return withSearch({ run, config: configure(search, more), side: 'train' }, async (source) => {
    source.setProgress(progress);
    return source.search.search(request);
  });
}

async function fake(answer: (body: string, asked: IncomingMessage) => unknown): Promise<string> {
  const server = createServer((asked, response) => {
    let body = '';
    asked.on('data', (chunk: Buffer) => (body += chunk.toString()));
    asked.on('end', () => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(answer(body, asked)));
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('search.tool', () => {
  test('index is the default, changes no manifest, and needs the stage index', async () => {
    expect(searchSettings(configure({}))).toEqual({});
    await expect(ask({})).rejects.toThrow(/expected the finished stage index/);
  });

  test('retrieve asks servers, and what was recorded replays without them', async () => {
    const passage = { version: 1 as const, id: 'p', documentId: 'd', title: 'Riga', start: 0 };
    const tool = await buildIndexInMemory([{ ...passage, text: 'Riga is a city.' }]);
    const server = await startRetrieveServer({ tool, port: 0 });
    const tape = join(folder, 'tape');
    const live = { tool: 'retrieve', urls: [server.url] };
    const results = await ask({ ...live, record: tape });
    expect(results).toMatchObject([{ id: 'p', title: 'Riga' }]);
    await server.close();
    await expect(ask({ ...live, urls: [] })).rejects.toThrow(/search\.urls: expected the address/);
    expect(await ask({ ...live, replay: tape })).toEqual(results);
    expect(await searchInputs(configure({ replay: tape }))).toEqual({
      [tape]: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    });
  });

  test('opensearch and searxng are asked at the address given', async () => {
    const source = { title: 'Riga', text: 'a city' };
    const hits = [{ _id: 'p', _score: 1, _source: source }];
    const opensearch = await fake(() => ({ hits: { hits } }));
    expect(await ask({ tool: 'opensearch', urls: [`${opensearch}/wiki`] })).toMatchObject([source]);
    const results = [{ title: 'Riga', url: 'https://riga.example/', content: 'a city' }];
    const searxng = await fake(() => ({ results }));
    expect(await ask({ tool: 'searxng', urls: [searxng] })).toMatchObject([
      { ...source, provider: 'searxng' },
    ]);
  });

  test('simulated asks an endpoint of the synthesis section, with more noise as training goes on', async () => {
    const prompts: string[] = [];
    const url = await fake((body) => {
      prompts.push(body);
      const content = '[{"title":"Riga","text":"a city"}]';
      const message = { role: 'assistant', content };
      return { model: 'm', choices: [{ message, finish_reason: 'stop' }] };
    });
    const endpoints = { local: { baseUrl: `${url}/v1`, model: 'm' } };
    const simulated = { tool: 'simulated', endpoint: 'local', noise: { start: 0, end: 1 } };
    for (const progress of [0, 1]) {
      expect(await ask(simulated, { synthesis: { endpoints } }, progress)).toMatchObject([
        { title: 'Riga', text: 'a city', provider: 'simulated:local:m' },
      ]);
    }
    expect(prompts.map((prompt) => prompt.includes('do not help'))).toEqual([false, true]);
    await expect(ask(simulated)).rejects.toThrow(/search\.endpoint: .*\(none\), received local/);
  });

  test.each([
    [{ tool: 'brave' }, /MASKSEARCH_BRAVE_KEY/],
    [{ tool: 'searxng' }, /search\.urls/],
    [{ tool: 'opensearch', urls: ['http://a/b', 'http://c/d'] }, /expected one address/],
    [{ replay: 'nowhere' }, /nowhere.*expected a cassette, found none/],
  ])('%j says what is missing', async (search, message) => {
    await expect(ask(search)).rejects.toThrow(message);
  });

  test.each([
    [{ urls: ['http://user:key@host/'] }, /no user and password/],
    [{ urls: ['ftp://host/'] }, /urls/],
    [{ tool: 'bing' }, /search\.tool/],
    [{ record: 'a', replay: 'b' }, /not both/],
  ])('%j is refused', (search, message) => {
    expect(() => configure(search)).toThrow(message);
  });
});
