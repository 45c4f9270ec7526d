// The configuration of a whole run: one section per stage and per thing that stages share.
import { z, type ZodType } from 'zod';
import { baseSchema } from './base-section.ts';
import { evolveSchema } from './evolve-section.ts';
import {
  corpusSchema,
  indexSchema,
  tasksSchema,
  tokenizerSchema,
  trajectoriesSchema,
} from './data-sections.ts';
import {
  episodeSchema,
  evaluationSchema,
  modelSchema,
  reportSchema,
  rewardSchema,
  rlSchema,
  rolloutsSchema,
  sftSchema,
} from './learning-sections.ts';
import { searchSchema } from './search-section.ts';
import { setting } from './setting.ts';
import { synthesisSchema } from './synthesis-section.ts';

const sections = {
  corpus: corpusSchema,
  tokenizer: tokenizerSchema,
  index: indexSchema,
  search: searchSchema,
  tasks: tasksSchema,
  episode: episodeSchema,
  trajectories: trajectoriesSchema,
  synthesis: synthesisSchema,
  model: modelSchema,
  base: baseSchema,
  sft: sftSchema,
  rollouts: rolloutsSchema,
  reward: rewardSchema,
  rl: rlSchema,
  evolve: evolveSchema,
  evaluation: evaluationSchema,
  report: reportSchema,
};

export const runConfigSchema = z.strictObject({
  name: setting(z.string().regex(/^[\w.-]+$/, 'expected letters, digits, dots, dashes'), {
    about: 'name of the run; its folder is runs/<name>',
  }).default('default'),
  seed: setting(z.int().min(0), { about: 'decides every random choice' }).default(1),
  corpus: corpusSchema.prefault({}),
  tokenizer: tokenizerSchema.prefault({}),
  index: indexSchema.prefault({}),
  search: searchSchema.prefault({}),
  tasks: tasksSchema.prefault({}),
  episode: episodeSchema.prefault({}),
  trajectories: trajectoriesSchema.prefault({}),
  synthesis: synthesisSchema.prefault({}),
  model: modelSchema.prefault({}),
  base: baseSchema.prefault({}),
  sft: sftSchema.prefault({}),
  rollouts: rolloutsSchema.prefault({}),
  reward: rewardSchema.prefault({}),
  rl: rlSchema.prefault({}),
  evolve: evolveSchema.prefault({}),
  evaluation: evaluationSchema.prefault({}),
  report: reportSchema.prefault({}),
});
export type RunConfig = z.output<typeof runConfigSchema>;

export type SectionName = keyof typeof sections;
export const SECTION_NAMES = Object.keys(sections) as SectionName[];

export function sectionSchema(name: SectionName): ZodType {
  return sections[name];
}
