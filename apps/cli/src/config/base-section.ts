// Configuration of the base model's training: what `masksearch base` reads and how long.
import { z } from 'zod';
import { section, setting } from './setting.ts';

export const baseSchema = section(
  {
    steps: setting(z.int().min(1), { about: 'optimizer steps', unit: 'steps' }).default(4000),
    batchTokens: setting(z.int().min(1), {
      about: 'of one optimizer step',
      unit: 'tokens',
    }).default(4096),
    copyEvery: setting(z.int().min(0), {
      about:
        'every so-manyth step is a copying step: random sequences that repeat themselves; 0 = none',
      unit: 'steps',
    }).default(6),
    copyFirst: setting(z.int().min(0), {
      about: 'of so many first steps every other is a copying step',
      unit: 'steps',
    }).default(600),
    maxPassages: setting(z.int().min(1), {
      about: 'passages, at most, that are read together',
      unit: 'passages',
    }).default(3),
    articleShare: setting(z.number().min(0).max(1), {
      about: 'share of examples that are plain passages, all of which is to be predicted',
    }).default(0.15),
    worksheetShare: setting(z.number().min(0).max(1), {
      about: 'share of examples that are numbered sentences with gaps, looked up one by one',
    }).default(0.4),
    maxExercises: setting(z.int().min(1), {
      about: 'gaps and questions on the same passages at most',
      unit: 'exercises',
    }).default(8),
    learningRate: setting(z.number().positive(), { about: 'peak of the schedule' }).default(3e-3),
    finalLearningRate: setting(z.number().min(0), { about: 'where the cosine ends' }).default(1e-4),
    warmUpSteps: setting(z.int().min(0), { about: 'linear warm-up', unit: 'steps' }).default(50),
    weightDecay: setting(z.number().min(0), { about: 'decoupled, on matrices only' }).default(0.05),
    maxGradientNorm: setting(z.number().positive(), { about: 'clips the global norm' }).default(1),
    checkpointEvery: setting(z.int().min(1), {
      about: 'a checkpoint every so many steps; a killed run continues from the last',
      unit: 'steps',
    }).default(200),
  },
  'the base model: a small language model of generated articles, made by `masksearch base`',
).refine(({ articleShare, worksheetShare }) => articleShare + worksheetShare <= 1, {
  message: 'expected articleShare and worksheetShare of 1 together at most',
});
