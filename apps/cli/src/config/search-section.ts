// Configuration of the search tool that trajectories, rollouts, RL and evaluation use.
import { z } from 'zod';
import { section, setting } from './setting.ts';

const cassette = (about: string) => setting(z.string().min(1).nullable(), { about }).default(null);

export const searchSchema = section(
  {
    tool: setting(z.enum(['index', 'retrieve']), {
      about:
        'what is searched: the index of the run, or servers that speak the /retrieve of Search-R1',
    }).default('index'),
    urls: setting(z.array(z.url()), {
      about:
        'addresses of the tool; several /retrieve servers are the parts of one corpus, in its order, and answer as one index',
    }).default([]),
    record: cassette('folder in which every search call is recorded; null records nothing'),
    replay: cassette(
      'folder of recorded calls that answer instead of the tool; a call that was not recorded is an error',
    ),
  },
  'the search tool of trajectories, rollouts, rl and evaluation',
).refine(({ record, replay }) => record === null || replay === null, {
  message: 'expected record or replay, not both',
});
