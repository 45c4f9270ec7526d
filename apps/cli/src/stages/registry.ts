// The stages in their order: name, what it does, which sections of the configuration it reads, and its function.
import type { RunConfig, SectionName } from '../config/run-config.ts';
import type { StageOutcome } from '../run/run-stage.ts';
import type { RunContext, StageName } from '../run/run-folder.ts';

/** Runs one stage of a run. Callable from TypeScript as it is from the command line. */
export type StageFunction = (run: RunContext, config: RunConfig) => Promise<StageOutcome>;

export interface Stage {
  readonly name: StageName;
  /** One line for `masksearch --help`. */
  readonly summary: string;
  /** Sections of the configuration that decide what it does; the first is the stage's own. */
  readonly sections: readonly SectionName[];
  readonly examples: readonly string[];
  /** Loads the stage's code only when it is run. */
  readonly load: () => Promise<StageFunction>;
}

export const STAGES: readonly Stage[] = [
  {
    name: 'corpus',
    summary: 'read or generate documents, cut passages, train or copy the tokenizer',
    sections: ['corpus', 'tokenizer', 'model'],
    examples: [
      'masksearch corpus --run runs/wiki --input enwiki.xml.bz2',
      'masksearch corpus --run runs/world --world.articles 5000 --seed 7',
    ],
    load: async () => (await import('./corpus.ts')).corpusStage,
  },
  {
    name: 'index',
    summary: 'build the search index over the passages',
    sections: ['index'],
    examples: ['masksearch index --run runs/wiki --k1 0.9 --b 0.4'],
    load: async () => (await import('./index-stage.ts')).indexStage,
  },
  {
    name: 'tasks',
    summary: 'mask salient spans: RAMP tasks for k = 1..4, and questions where facts are known',
    sections: ['tasks'],
    examples: ['masksearch tasks --run runs/wiki --train.ramp 2000'],
    load: async () => (await import('./tasks.ts')).tasksStage,
  },
  {
    name: 'trajectories',
    summary: 'let the teacher search and answer; keep what the judge accepts',
    sections: ['trajectories', 'model', 'episode', 'search'],
    examples: ['masksearch trajectories --run runs/wiki --concurrency 16'],
    load: async () => (await import('./trajectories.ts')).trajectoriesStage,
  },
  {
    name: 'sft',
    summary: 'train the model on the trajectories, curriculum and copying phases included',
    sections: ['sft', 'model'],
    examples: ['masksearch sft --run runs/wiki --learningRate 1e-3'],
    load: async () => (await import('./sft.ts')).sftStage,
  },
  {
    name: 'rollouts',
    summary: 'sample episodes from a checkpoint, with rewards, for inspection',
    sections: ['rollouts', 'model', 'episode', 'reward', 'search'],
    examples: ['masksearch rollouts --run runs/wiki --checkpoint sft --tasks 20'],
    load: async () => (await import('./rollouts.ts')).rolloutsStage,
  },
  {
    name: 'rl',
    summary: 'improve the model with DAPO: rollouts, rewards, update',
    sections: ['rl', 'model', 'episode', 'reward', 'search'],
    examples: ['masksearch rl --run runs/wiki --steps 100 --samplesPerTask 8'],
    load: async () => (await import('./rl.ts')).rlStage,
  },
  {
    name: 'evaluation',
    summary:
      'measure base, SFT and RL checkpoints on held-out tasks, with real and random retrieval',
    sections: ['evaluation', 'model', 'episode', 'reward', 'search'],
    examples: ['masksearch evaluation --run runs/wiki --tasksPerGroup 200'],
    load: async () => (await import('./evaluation.ts')).evaluationStage,
  },
  {
    name: 'report',
    summary: 'write report.json and report.html: tables, curves, example episodes',
    sections: ['report'],
    examples: ['masksearch report --run runs/wiki'],
    load: async () => (await import('./report.ts')).reportStage,
  },
];
