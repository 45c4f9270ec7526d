// Search tools beyond the run's own index: servers, web services, and a language model that plays one.
import { ChatClient } from '@masksearch/chat';
import { ConfigError, secretIfSet } from '@masksearch/core';
import {
  connectRetrieve,
  noiseSchedule,
  OpenSearchTool,
  openWebSearch,
  PageSearch,
  type SearchTool,
  SimulatedSearch,
} from '@masksearch/search';
import type { RunConfig } from '../config/run-config.ts';

/** Optional keys of servers; those of web services are named by their providers. */
const RETRIEVE_KEY = 'MASKSEARCH_RETRIEVE_KEY';
const OPENSEARCH_CREDENTIALS = 'MASKSEARCH_OPENSEARCH_CREDENTIALS';

/** Tokens that a simulated search may write for one query. */
const SIMULATED_TOKENS = 2048;

export interface RemoteSearch {
  readonly tool: SearchTool;
  readonly close: () => Promise<void>;
}

export interface RemoteOptions {
  readonly config: RunConfig;
  readonly seed: number;
  /** Share of the training that is done, 0..1. */
  readonly progress: () => number;
}

/**
 * Opens the tool that the search section selects, when it is not `index`.
 * @throws {ConfigError} the section lacks what the tool needs.
 * @throws {UnavailableError} a key is not in the environment, or a server cannot be reached.
 */
export async function openRemoteSearch(options: RemoteOptions): Promise<RemoteSearch> {
  const { search } = options.config;
  const { tool: name, callsPerSecond, fetchPages } = search;
  switch (name) {
    case 'index':
      throw new ConfigError('search.tool: expected another tool than index here.');
    case 'retrieve':
      return alone(await connectRetrieve(urlsOf(search), { key: secretIfSet(RETRIEVE_KEY) }));
    case 'opensearch':
      return alone(
        new OpenSearchTool({
          url: onlyUrlOf(search),
          credentials: secretIfSet(OPENSEARCH_CREDENTIALS),
        }),
      );
    case 'simulated':
      return openSimulated(options);
    case 'searxng':
    case 'serpapi':
    case 'serper':
    case 'tavily':
    case 'brave':
    case 'google': {
      const base = name === 'searxng' ? { base: onlyUrlOf(search) } : {};
      const web = openWebSearch(name, { callsPerSecond, ...base });
      return alone(fetchPages ? new PageSearch(web) : web);
    }
    default:
      return name satisfies never;
  }
}

const alone = (tool: SearchTool): RemoteSearch => ({ tool, close: () => Promise.resolve() });

function openSimulated({ config, seed, progress }: RemoteOptions): RemoteSearch {
  const { endpoint, noise } = config.search;
  const { endpoints } = config.synthesis;
  const found = endpoint === null ? undefined : endpoints[endpoint];
  if (endpoint === null || found === undefined) {
    const known = Object.keys(endpoints).join(', ') || 'none';
    throw new ConfigError(
      `search.endpoint: expected one of synthesis.endpoints (${known}), received ${endpoint}.`,
    );
  }
  const client = new ChatClient({ name: endpoint, config: found });
  const schedule = noiseSchedule(noise);
  const tool = new SimulatedSearch({
    name: client.name,
    seed,
    noise: () => schedule(progress()),
    ask: async ({ system, user }, { signal }) => {
      const messages = [
        { role: 'system', content: system },
        { role: 'user', content: user },
      ] as const;
      const reply = await client.complete({ messages, maxTokens: SIMULATED_TOKENS }, { signal });
      return reply.text;
    },
  });
  return { tool, close: () => client.close() };
}

type SearchConfig = RunConfig['search'];

function urlsOf({ tool, urls }: SearchConfig): readonly string[] {
  if (urls.length > 0) return urls;
  throw new ConfigError(
    `search.urls: expected the address of a server for search.tool ${tool}, received none.`,
  );
}

function onlyUrlOf(search: SearchConfig): string {
  const [url = '', ...others] = urlsOf(search);
  if (others.length === 0) return url;
  throw new ConfigError(
    `search.urls: expected one address for search.tool ${search.tool}, received ${search.urls.length}.`,
  );
}
