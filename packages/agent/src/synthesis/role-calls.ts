// What each role is shown and what it may reply: one function per role, every reply checked against its schema.
import { goldsOf, InputError, MaskSearchError, type Task } from '@masksearch/core';
import {
  completeJson,
  failureKindOf,
  type ChatModel,
  type ChatRequest,
  type JsonAnswer,
} from '@masksearch/chat';
import { z, type ZodType } from 'zod';
import { renderPrompt } from '../protocol.ts';
import { renderSections, type Heading, type Prompts, type Role } from './prompts/prompts.ts';

const words = z.string().max(4000);

const planSchema = z.strictObject({
  plan: z.array(words).min(1).max(16),
  thought: words.default(''),
  search: words.min(1),
});
export type Plan = z.output<typeof planSchema>;

const queriesSchema = z.strictObject({ queries: z.array(words).min(1).max(16) });

const observationSchema = z.strictObject({
  decision: z.enum(['answer', 'next', 'reflect']),
  thought: words.min(1),
  search: words.default(''),
  answer: z.array(words).max(64).default([]),
});
export type Observation = z.output<typeof observationSchema>;

const verdictSchema = z.strictObject({ verdict: z.enum(['correct', 'incorrect']) });

/** Why a trajectory cannot go on; becomes the reason of its rejection. */
export class RoleFailure extends Error {
  readonly reason: string;

  constructor(role: Role, what: string, cause?: unknown) {
    super(`${role}: ${what}`, { cause });
    this.name = 'RoleFailure';
    this.reason = `${role}: ${what}`;
  }
}

export interface RoleCall {
  readonly prompts: Prompts;
  readonly maxTokens: number;
  readonly temperature: number;
  /** Default 1. */
  readonly topP?: number;
  /** Tells the samples of one task apart; sent where sampling is random. */
  readonly seed: number;
  readonly signal?: AbortSignal | undefined;
  /** Books what the call used. */
  readonly onUsage: (usage: JsonAnswer<unknown>['usage']) => void;
}

/** Sees the task only. */
export function askPlanner(model: ChatModel, task: Task, call: RoleCall): Promise<Plan> {
  return ask(model, 'planner', planSchema, [['task', renderPrompt(task).trim()]], call);
}

/** Sees the task, the last thought, what it asks for, and the queries that were tried. */
export async function askRewriter(
  model: ChatModel,
  need: { task: Task; thought: string; search: string; asked: readonly string[] },
  call: RoleCall,
): Promise<string[]> {
  const { task, thought, search, asked } = need;
  const tried: [Heading, string][] = asked.length === 0 ? [] : [['asked', asked.join('\n')]];
  const sections: [Heading, string][] = [
    ['task', renderPrompt(task).trim()],
    ['thought', thought],
    ['need', search],
    ...tried,
  ];
  return (await ask(model, 'rewriter', queriesSchema, sections, call)).queries;
}

/**
 * Sees the task and every thought, query and result so far, as they stand in the trajectory.
 * @param note Which decisions are left, where not all are.
 */
export function askObserver(
  model: ChatModel,
  seen: { task: Task; transcript: string; note: string | null },
  call: RoleCall,
): Promise<Observation> {
  const note: [Heading, string][] = seen.note === null ? [] : [['note', seen.note]];
  const sections: [Heading, string][] = [
    ['task', renderPrompt(seen.task).trim()],
    ['transcript', seen.transcript],
    ...note,
  ];
  return ask(model, 'observer', observationSchema, sections, call);
}

export type ModelVerdict = 'correct' | 'incorrect' | 'unclear';

/** Sees task, gold and answer only. What it does not say clearly is `unclear`. */
export async function askJudge(
  model: ChatModel,
  task: Task,
  answer: readonly string[],
  call: RoleCall,
): Promise<ModelVerdict> {
  const golds = goldsOf(task).map(({ text, aliases }) => [text, ...aliases].join(' / '));
  const list = (items: readonly string[]): string =>
    items.map((item, i) => `${i + 1}. ${item.replace(/\s+/g, ' ')}`).join('\n');
  const sections: [Heading, string][] = [
    ['question', renderPrompt(task).trim()],
    ['gold', list(golds)],
    ['answer', list(answer)],
  ];
  try {
    const greedy = { ...call, temperature: 0 };
    return (await ask(model, 'judge', verdictSchema, sections, greedy)).verdict;
  } catch (error) {
    if (error instanceof RoleFailure) return 'unclear';
    throw error;
  }
}

async function ask<T>(
  model: ChatModel,
  role: Role,
  schema: ZodType<T>,
  sections: readonly (readonly [Heading, string])[],
  call: RoleCall,
): Promise<T> {
  const { prompts, maxTokens, temperature, topP = 1, seed } = call;
  const request: ChatRequest = {
    messages: [
      { role: 'system', content: prompts.system[role] },
      { role: 'user', content: renderSections(prompts, sections) },
    ],
    maxTokens,
    temperature,
    ...(temperature > 0 ? { seed } : {}),
    ...(temperature > 0 && topP < 1 ? { topP } : {}),
  };
  const format = { name: role, schema, repair: prompts.repair };
  try {
    const { value, usage } = await completeJson(model, request, format, { signal: call.signal });
    call.onUsage(usage);
    return value;
  } catch (error) {
    throw failureOf(role, error);
  }
}

/** Statuses that say the endpoint is set up wrongly: no other task would fare better. */
const SETUP_STATUSES: ReadonlySet<unknown> = new Set([401, 402, 403, 404]);

/** What concerns this task alone becomes its rejection; what concerns the endpoint stays an error. */
function failureOf(role: Role, error: unknown): unknown {
  if (error instanceof InputError) return new RoleFailure(role, 'no valid reply', error);
  const kind = failureKindOf(error);
  if (kind === null || kind === 'connect' || !MaskSearchError.isInstance(error)) return error;
  if (kind === 'refused' && SETUP_STATUSES.has(error.data['status'])) return error;
  return new RoleFailure(role, `no reply (${kind})`, error);
}
