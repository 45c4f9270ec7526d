// Configuration of how the model acts and learns: model, episode, sft, rollouts, reward, rl, evaluation.
import type { ToolCalls } from '@masksearch/agent';
import { loraTargets, TFJS_BACKENDS } from '@masksearch/model/names';
import { z } from 'zod';
import { section, setting } from './setting.ts';

const tokens = (about: string, value: number) =>
  setting(z.int().min(1), { about, unit: 'tokens' }).default(value);
const concurrency = (value: number) =>
  setting(z.int().min(1).max(4096), {
    about: 'episodes under way at once; changes no result',
    unit: 'episodes',
  }).default(value);

const topP = setting(z.number().min(0).max(1), {
  about: 'the fewest likely tokens that hold this share are sampled from; 1 takes all',
}).default(1);

// Named here again so that `--help` does not load the agent.
const TOOL_CALLS = ['tags', 'hermes', 'llama'] as const satisfies readonly ToolCalls[];

const loraSchema = section(
  {
    rank: setting(z.int().min(0).max(4096), {
      about: 'of the adapter that is trained on frozen weights; 0 trains all weights',
    }).default(0),
    alpha: setting(z.number().positive(), {
      about: 'the adapter counts alpha / rank',
      source: 'twice a rank of 8, as is usual',
    }).default(16),
    dropout: setting(z.number().min(0).lt(1), {
      about: "of the adapter's input; rl takes none",
    }).default(0),
    targets: setting(z.array(z.enum(loraTargets)).min(1), {
      about: `which projections are adapted: ${loraTargets.join(', ')}`,
    }).default([...loraTargets]),
  },
  "a low-rank adapter in place of full training; adapter/ in the stage's folder is PEFT's, model/ has it merged in",
).prefault({});
export type LoraSettings = z.infer<typeof loraSchema>;

export const modelSchema = section(
  {
    from: setting(z.string().nullable(), {
      about:
        'Hugging Face folder to start from, with its tokenizer.json; null starts from random weights',
    }).default(null),
    chatTemplate: setting(z.enum(['auto', 'none']), {
      about:
        'how a model folder is talked to: in its own chat template if it has one, or in the plain protocol',
    }).default('auto'),
    toolCalls: setting(z.enum(TOOL_CALLS), {
      about:
        "under a chat template, how searches are written: in the protocol's tags, or as tool calls of Qwen (hermes) or Llama 3 (llama)",
    }).default('tags'),
    backend: setting(z.enum(['native', 'tfjs', ...TFJS_BACKENDS]), {
      about:
        'what runs the model: the native engine, or plain tfjs on one of its backends (tfjs is tfjs-cpu)',
    }).default('native'),
    dtype: setting(z.enum(['float32', 'bfloat16']), {
      about:
        'what the native engine stores and multiplies matrices and activations in; master weights and sums are float32 with either',
    }).default('float32'),
    device: setting(z.enum(['cpu', 'cuda']), {
      about: 'where the native engine runs; a GPU stores and multiplies in bfloat16 alone',
    }).default('cpu'),
    gpuMemory: setting(z.number().positive().nullable(), {
      about: 'that the model may take of the GPU; null takes 85 % of what is free',
      unit: 'GiB',
    }).default(null),
    threads: setting(z.int().min(0).max(1024), {
      about: 'threads of the native engine; 0 takes one per core',
      unit: 'threads',
    }).default(0),
    width: setting(z.int().min(1), { about: 'C, width of the residual stream' }).default(128),
    layers: setting(z.int().min(1), { about: 'L', unit: 'layers' }).default(4),
    heads: setting(z.int().min(1), { about: 'H, query heads', unit: 'heads' }).default(4),
    keyValueHeads: setting(z.int().min(1), {
      about: 'K, key and value heads; divides heads',
      unit: 'heads',
    }).default(2),
    headWidth: setting(z.int().min(2), { about: 'D, width of a head; even' }).default(32),
    feedForwardWidth: setting(z.int().min(1), { about: 'F, width of the SwiGLU layer' }).default(
      352,
    ),
    ropeTheta: setting(z.number().min(1), { about: 'base of the rotary embedding' }).default(
      10_000,
    ),
    maxPositions: tokens('longest sequence', 2048),
    initialization: setting(z.enum(['random', 'induction']), {
      about:
        'random weights: plain, or with a circuit that copies what followed the same token before (needs 2 layers)',
      source: 'docs/log.md: an order of magnitude fewer tokens until a small model copies',
    }).default('induction'),
  },
  'the model; sizes apply when it starts from random weights',
)
  .refine(({ backend, dtype }) => backend === 'native' || dtype === 'float32', {
    message:
      'expected float32, as tfjs has no bfloat16 (--model.dtype float32, or --backend native)',
    path: ['dtype'],
  })
  .refine(({ backend, device }) => backend === 'native' || device === 'cpu', {
    message:
      'expected cpu, as tfjs has its devices by the name of its backend (--backend tfjs-node-gpu, or --backend native)',
    path: ['device'],
  })
  .refine(({ device, dtype }) => device === 'cpu' || dtype === 'bfloat16', {
    message: 'expected bfloat16 on device cuda, which knows no other (--model.dtype bfloat16)',
    path: ['dtype'],
  });

export const episodeSchema = section(
  {
    topK: setting(z.int().min(1).max(100), {
      about: 'passages that a search returns',
      unit: 'passages',
    }).default(4),
    maxTurns: setting(z.int().min(1).max(64), {
      about: 'turns of the policy; the last one must answer',
      unit: 'turns',
    }).default(12),
    maxTurnTokens: tokens('of one policy turn', 128),
    maxPolicyTokens: tokens('that the policy writes in one episode', 512),
    maxInformationTokens: tokens('of one search result block', 384),
    maxContextTokens: tokens('of a whole episode: prompt, policy and results together', 2048),
    searchTimeoutMs: setting(z.int().min(1), {
      about: 'until a search fails',
      unit: 'milliseconds',
    }).default(10_000),
    episodeTimeoutMs: setting(z.int().min(1), {
      about: 'until an episode ends where it is',
      unit: 'milliseconds',
    }).default(600_000),
    answerForm: setting(z.enum(['slots', 'paragraph']), {
      about: 'what a RAMP answer is: the slot texts, or the whole filled paragraph',
    }).default('slots'),
  },
  'the episode protocol and its budgets',
);

const phaseSchema = z
  .strictObject({
    name: z.string().min(1),
    /** Task groups whose trajectories it trains on; none = copying alone. */
    groups: z.array(z.string()).default([]),
    /** Every so-manyth step is a copying step; 0 = none. */
    copyEvery: z.int().min(0).default(0),
    steps: z.int().min(1).optional(),
    tokens: z.int().min(1).optional(),
    epochs: z.int().min(1).optional(),
  })
  .refine(
    ({ steps, tokens: total, epochs }) =>
      [steps, total, epochs].filter((end) => end !== undefined).length === 1,
    { message: 'expected exactly one of steps, tokens and epochs' },
  );

export const sftSchema = section(
  {
    phases: setting(z.array(phaseSchema).min(1), {
      about:
        'the curriculum: list of {name, groups, copyEvery, and one of steps, tokens, epochs}; copyEvery 2 makes every other step a copying step',
    }).default([{ name: 'all', groups: ['k1', 'k2', 'k3', 'k4'], copyEvery: 0, epochs: 1 }]),
    batchTokens: tokens('of one optimizer step', 8192),
    microBatchTokens: tokens('of one forward and backward pass; bounds memory only', 8192),
    learningRate: setting(z.number().positive(), { about: 'peak of the schedule' }).default(1e-3),
    finalLearningRate: setting(z.number().min(0), { about: 'where the cosine ends' }).default(1e-4),
    warmUpSteps: setting(z.int().min(0), { about: 'linear warm-up', unit: 'steps' }).default(20),
    weightDecay: setting(z.number().min(0), { about: 'decoupled, on matrices only' }).default(0.1),
    maxGradientNorm: setting(z.number().positive(), { about: 'clips the global norm' }).default(1),
    lora: loraSchema,
    checkpointEvery: setting(z.int().min(1), {
      about: 'a checkpoint every so many steps; a killed run continues from the last',
      unit: 'steps',
    }).default(50),
  },
  'supervised fine-tuning',
);

export const rolloutsSchema = section(
  {
    checkpoint: setting(z.enum(['base', 'sft', 'rl']), { about: 'which weights act' }).default(
      'sft',
    ),
    tasks: setting(z.int().min(1), { about: 'training tasks', unit: 'tasks' }).default(20),
    samples: setting(z.int().min(1), { about: 'episodes per task', unit: 'episodes' }).default(4),
    temperature: setting(z.number().min(0), { about: '0 is greedy' }).default(1),
    topP,
    concurrency: concurrency(32),
  },
  'rollouts for inspection',
);

export const rewardSchema = section(
  {
    formatWeight: setting(z.number().min(0), { about: 'weight of a valid format' }).default(0.1),
    answerWeight: setting(z.number().min(0), {
      about: 'weight of the answer, which counts only in a valid format',
    }).default(0.9),
    metric: setting(z.enum(['recall', 'f1', 'exact']), {
      about: 'score of one slot: token recall times brevity, token F1, or exact match',
      source: 'recall: MaskSearch §3.3',
    }).default('recall'),
    overlongTokens: setting(z.int().min(0), {
      about:
        'policy tokens below maxPolicyTokens over which the soft overlong penalty grows; 0 = off',
      unit: 'tokens',
      source: 'DAPO (arXiv:2503.14476) Eq. 13',
    }).default(0),
  },
  'the reward',
);

const rlPhaseSchema = z.strictObject({
  name: z.string().min(1),
  /** Task groups that are drawn from, in one shuffled pool. */
  groups: z.array(z.string()).min(1),
  steps: z.int().min(1),
});

export const rlSchema = section(
  {
    recipe: setting(z.enum(['dapo', 'grpo']), { about: 'the policy-gradient method' }).default(
      'dapo',
    ),
    steps: setting(z.int().min(0), {
      about: 'rollout steps: each samples a batch and updates on it',
      unit: 'steps',
    }).default(40),
    curriculum: setting(z.array(rlPhaseSchema), {
      about:
        'list of {name, groups, steps}; the last goes on; empty = all training tasks in one pool',
    }).default([]),
    unseenTasks: setting(z.boolean(), {
      about:
        'train only on tasks that the teacher did not play (trajectories.share), so that what was learned by heart earns nothing',
    }).default(false),
    groupsPerStep: setting(z.int().min(1), {
      about: 'N, task groups that survive the filter in one step',
      unit: 'tasks',
      source: '512 in DAPO §4.1',
    }).default(16),
    samplesPerTask: setting(z.int().min(2), {
      about: 'G, episodes per task',
      unit: 'episodes',
      source: '16 in DAPO §4.1',
    }).default(8),
    miniBatches: setting(z.int().min(1), {
      about: 'optimizer steps per rollout step; with 1 clipping never acts',
      unit: 'steps',
      source: '16 in DAPO §4.1',
    }).default(2),
    filter: setting(z.enum(['outcome', 'answer']), {
      about:
        'what must differ within a group for it to be trained on: whether all slots are right, or how many are; of dapo only',
      source: 'outcome in DAPO §3.2; filter_groups.metric of verl',
    }).default('outcome'),
    clipLow: setting(z.number().positive(), {
      about: 'lower clip bound',
      source: 'DAPO §4.1',
    }).default(0.2),
    clipHigh: setting(z.number().positive(), {
      about: 'upper clip bound; unused by grpo, whose clip is symmetric',
      source: 'DAPO §4.1',
    }).default(0.28),
    dualClip: setting(z.number().gt(1).nullable(), {
      about: 'bound of the ratio for negative advantages; null = off',
      source: 'arXiv:1912.09729',
    }).default(null),
    entropyCoefficient: setting(z.number().min(0), { about: 'entropy bonus; 0 = off' }).default(0),
    lora: loraSchema,
    klCoefficient: setting(z.number().min(0), {
      about: 'penalty for leaving the model with its adapter off; needs lora; 0 = off',
      source: 'DAPO has none; 0.001 to 0.04 elsewhere',
    }).default(0),
    displacementCoefficient: setting(z.number().min(0), {
      about:
        'penalty for likelihood that turns with an advantage of at least 0 lose (LLDS); acts where miniBatches is above 1; 0 = off',
      source: 'DAPO has none; 0.2 in arXiv:2512.04220',
    }).default(0),
    truncatedImportance: setting(z.number().min(1).nullable(), {
      about: 'cap of the truncated importance weights; null = off',
    }).default(null),
    maximumRounds: setting(z.int().min(1), {
      about: 'rounds of sampling to fill a step',
      unit: 'rounds',
      source: 'max_num_gen_batches of verl',
    }).default(10),
    maximumLagSteps: setting(z.int().min(0), {
      about: 'steps that surplus groups may wait to be trained on; 0 throws them away',
      unit: 'steps',
    }).default(1),
    overlongFiltering: setting(z.boolean(), {
      about: 'take truncated samples out of the loss',
      source: 'DAPO §3.4',
    }).default(false),
    learningRate: setting(z.number().positive(), { about: 'at the end of the warm-up' }).default(
      1e-4,
    ),
    finalLearningRate: setting(z.number().min(0).nullable(), {
      about: 'a straight line leads from learningRate to it; null = constant',
      source: 'constant in DAPO §4.1',
    }).default(null),
    warmUpSteps: setting(z.int().min(0), { about: 'linear warm-up', unit: 'steps' }).default(5),
    weightDecay: setting(z.number().min(0), { about: 'decoupled, on matrices only' }).default(0),
    maxGradientNorm: setting(z.number().positive(), { about: 'clips the global norm' }).default(1),
    microBatchTokens: tokens('of one forward and backward pass; bounds memory only', 8192),
    temperature: setting(z.number().positive(), {
      about: 'of sampling',
      source: 'DAPO §4.1',
    }).default(1),
    topP: setting(
      z.number().refine((value) => value === 1, {
        message:
          'expected 1: the loss compares the probabilities that tokens were drawn with, and those of a nucleus are others',
      }),
      { about: 'of sampling; only 1, all tokens' },
    ).default(1),
    concurrency: concurrency(64),
    checkpointEvery: setting(z.int().min(1), {
      about: 'a checkpoint every so many steps; a killed run continues from the last',
      unit: 'steps',
    }).default(10),
  },
  'reinforcement learning',
);

export const evaluationSchema = section(
  {
    checkpoints: setting(z.array(z.enum(['base', 'sft', 'rl'])).min(1), {
      about: 'which weights are measured',
    }).default(['base', 'sft', 'rl']),
    tasksPerGroup: setting(z.int().min(1), {
      about: 'held-out tasks per group',
      unit: 'tasks',
    }).default(200),
    randomTasksPerGroup: setting(z.int().min(0), {
      about: 'of them, how many are also played with random passages in place of search results',
      unit: 'tasks',
    }).default(200),
    temperature: setting(z.number().min(0), { about: '0 is greedy' }).default(0),
    topP,
    resamples: setting(z.int().min(1000), {
      about: 'bootstrap resamples of each interval',
    }).default(2000),
    concurrency: concurrency(64),
  },
  'held-out evaluation',
);

export const reportSchema = section(
  {
    episodes: setting(z.int().min(0), {
      about: 'example episodes per checkpoint and group in report.html',
      unit: 'episodes',
    }).default(3),
  },
  'the report',
);
