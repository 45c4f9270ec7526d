// Configuration of self-evolving rounds: how many, and how the student plays.
import { z } from 'zod';
import { section, setting } from './setting.ts';

export const evolveSchema = section(
  {
    rounds: setting(z.int().min(1).max(20), {
      about:
        'rounds in which the student makes trajectories on fresh tasks, after the first teacher',
      unit: 'rounds',
      source: 'the paper does not say',
    }).default(2),
    samplesPerTask: setting(z.int().min(1).max(64), {
      about: 'trajectories that the student makes of each fresh task',
    }).default(2),
    temperature: setting(z.number().min(0).max(10), {
      about: 'of the student at play',
    }).default(0.8),
    topP: setting(z.number().min(0).max(1), {
      about: 'of the student at play; 1 samples from all tokens',
    }).default(1),
    concurrency: setting(z.int().min(1).max(4096), {
      about: 'episodes under way at once; changes no result',
      unit: 'episodes',
    }).default(16),
  },
  'self-evolving rounds: SFT, trajectories by the student on fresh tasks, judge, merge, SFT again',
);
