// Configuration of the search tool that trajectories, rollouts, RL and evaluation use.
import { z } from 'zod';
import { section, setting } from './setting.ts';

const cassette = (about: string) => setting(z.string().min(1).nullable(), { about }).default(null);

export const searchSchema = section(
  {
    record: cassette('folder in which every search call is recorded; null records nothing'),
    replay: cassette(
      'folder of recorded calls that answer instead of the tool; a call that was not recorded is an error',
    ),
  },
  'the search tool of trajectories, rollouts, rl and evaluation',
).refine(({ record, replay }) => record === null || replay === null, {
  message: 'expected record or replay, not both',
});
