// Configuration of trajectory making by language models: who plays which role, and how the work is shared out.
// Imports nothing but schemas, as every command builds its flags from this.
import { synthesisConfigSchema } from '@masksearch/agent/synthesis-config';
import { endpointConfigSchema } from '@masksearch/chat/endpoint-config';
import { z } from 'zod';
import { section, setting } from './setting.ts';

const { shape } = synthesisConfigSchema;
const role = (about: string, value: string) => setting(z.string().min(1), { about }).default(value);

const localModelSchema = z.strictObject({
  folder: z.string().min(1),
  threads: z.int().min(0).max(1024).default(0),
  /** Answers written at once. */
  maxSequences: z.int().min(1).max(4096).default(16),
  maxContextTokens: z.int().min(1).default(4096),
});

export const synthesisSchema = section(
  {
    endpoints: setting(z.record(z.string().regex(/^[\w-]+$/), endpointConfigSchema), {
      about:
        'OpenAI-compatible endpoints by name: baseUrl, model, apiKeyVariable, concurrency, requestsPerMinute, tokensPerMinute, price, timeouts, retries, structuredOutput, stream',
    }).default({}),
    models: setting(z.record(z.string().regex(/^[\w-]+$/), localModelSchema), {
      about:
        'model folders that play in this process, by name, as endpoints do: folder, threads (0 takes one per core), maxSequences, maxContextTokens',
    }).default({}),
    roles: section(
      {
        planner: role('endpoint or model that plans, or oracle', 'oracle'),
        rewriter: role('endpoint or model that words queries, or oracle', 'oracle'),
        observer: role('endpoint or model that reads results and decides, or oracle', 'oracle'),
        player: setting(z.string().min(1).nullable(), {
          about:
            'endpoint or model that plays whole episodes in token ids, in place of planner, rewriter and observer; it must have the tokenizer of the run',
        }).default(null),
        judge: role(
          'endpoint or model that judges, oracle, or rule for the rule check alone',
          'rule',
        ),
      },
      'who plays which role',
    ).prefault({}),
    language: setting(shape.language, { about: "of the prompts; auto goes by the task's text" }),
    queriesPerSearch: setting(shape.queriesPerSearch, {
      about: 'queries of one search turn, searched in parallel',
      unit: 'queries',
    }),
    maxReflections: setting(shape.maxReflections, {
      about: 'reflections in a row; after them the observer must answer or go on',
      source: 'MaskSearch: own knowledge after two',
    }),
    temperature: setting(shape.temperature, { about: 'of all roles but the judge' }),
    topP: setting(shape.topP, { about: 'of the same roles; 1 samples from all tokens' }),
    maxReplyTokens: setting(shape.maxReplyTokens, { about: 'of one reply', unit: 'tokens' }),
    acceptance: setting(shape.acceptance, {
      about: 'who decides what is kept: the rule check, the judge model, or both',
    }),
    requireSupport: setting(shape.requireSupport, {
      about: 'reject an answer that stands in no result, even if it is right',
    }),
    samplesPerTask: setting(z.int().min(1).max(64), {
      about: 'trajectories of each task',
    }).default(1),
    evaluationFiles: setting(z.array(z.string().min(1)), {
      about:
        'task files (JSON lines) that must not be trained on, besides the held-out tasks: tasks that share words or titles are rejected',
    }).default([]),
    capUsd: setting(z.number().positive().nullable(), {
      about: 'stop before the prices of the endpoints add up to more; per start, null = no cap',
      unit: 'US dollars',
    }).default(null),
    concurrency: setting(z.int().min(1).max(4096), {
      about:
        'tasks under way in one process; more than the endpoints allow, so that waiting tasks fill the gaps',
      unit: 'tasks',
    }).default(64),
    processes: setting(z.int().min(1).max(64), {
      about: 'worker processes on this machine; further ones join with `masksearch worker`',
    }).default(1),
    itemsPerShard: setting(z.int().min(1), {
      about: 'tasks that a worker takes at a time',
      unit: 'tasks',
    }).default(50),
    leaseSeconds: setting(z.number().min(1), {
      about:
        'until the tasks of a worker that hangs, or that died on another machine, go to the next',
      unit: 'seconds',
    }).default(60),
    redis: setting(z.url({ protocol: /^redis$/ }).nullable(), {
      about:
        'Redis that shares the work between machines, with its password in MASKSEARCH_REDIS_PASSWORD; null = SQLite, one machine',
    }).default(null),
  },
  'trajectories from language models',
);
