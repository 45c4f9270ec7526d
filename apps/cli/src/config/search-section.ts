// Configuration of the search tool that trajectories, rollouts, RL and evaluation use.
import type { WebProviderName } from '@masksearch/search';
import { z } from 'zod';
import { section, setting } from './setting.ts';

const WEB_TOOLS = [
  'serpapi',
  'serper',
  'tavily',
  'brave',
  'searxng',
  'google',
] as const satisfies readonly WebProviderName[];

const address = z.url({ protocol: /^https?$/ }).refine(
  (text) => {
    const { username, password } = new URL(text);
    return username === '' && password === '';
  },
  { message: 'expected no user and password; keys come from the environment' },
);

const nullableText = (about: string) =>
  setting(z.string().min(1).nullable(), { about }).default(null);
const probability = (about: string, value: number, source: string) =>
  setting(z.number().min(0).max(1), { about, source }).default(value);

export const searchSchema = section(
  {
    tool: setting(z.enum(['index', 'retrieve', 'opensearch', ...WEB_TOOLS, 'simulated']), {
      about:
        'what is searched: the index of the run, servers with the /retrieve of Search-R1, an OpenSearch index, the web through a service, or a language model that plays a search engine',
    }).default('index'),
    urls: setting(z.array(address), {
      about:
        'addresses of retrieve, opensearch (with the index) and searxng; several of retrieve are the parts of one corpus, in its order, and answer as one index',
    }).default([]),
    callsPerSecond: setting(z.number().positive(), {
      about: 'calls to a web service at most, in one process',
      unit: 'calls per second',
    }).default(1),
    fetchPages: setting(z.boolean(), {
      about: 'read the pages of web results in place of their snippets',
    }).default(false),
    endpoint: nullableText('of synthesis.endpoints, which plays the search engine when simulated'),
    noise: section(
      {
        start: probability('at the start of training', 0, 'ZeroSearch'),
        end: probability('at its end', 0.5, 'ZeroSearch'),
        base: setting(z.number().positive(), {
          about: 'how late it comes; 1 is linear',
          source: 'ZeroSearch',
        }).default(4),
      },
      'probability that a simulated search gives noise; it rises with the steps of rl and stays at the start elsewhere',
    ).prefault({}),
    record: nullableText('folder in which every search call is recorded; null records nothing'),
    replay: nullableText(
      'folder of recorded calls that answer instead of the tool; a call that was not recorded is an error',
    ),
  },
  'the search tool of trajectories, rollouts, rl and evaluation',
).refine(({ record, replay }) => record === null || replay === null, {
  message: 'expected record or replay, not both',
});
