// The oracle in the roles of language models, for trials without one: reads the prompts, knows the tasks.
import type { ChatModel } from '@masksearch/chat';
import { goldsOf, type Task } from '@masksearch/core';
import { normalizeAnswer } from '@masksearch/rewards';
import { findEvidence, occursIn } from '../evidence.ts';
import { renderPrompt } from '../protocol.ts';
import { planOf, type PlanStep } from '../teacher-plan.ts';
import { CHINESE } from './prompts/chinese.ts';
import { ENGLISH } from './prompts/english.ts';
import { ROLES, type Prompts, type Role } from './prompts/prompts.ts';

/** The part of a chat request that a role's reply depends on. */
export interface RoleChat {
  readonly messages: readonly { readonly role: string; readonly content: string }[];
}

/**
 * Replies as planner, rewriter, observer and judge for the given tasks. It states only what the transcript shows.
 * @throws {Error} the request is of no role, or of no task given.
 */
export function oracleRoles(tasks: readonly Task[]): (chat: RoleChat) => string {
  const byPrompt = new Map(tasks.map((task) => [renderPrompt(task).trim(), task]));
  return ({ messages }) => {
    const [system, user] = messages;
    const { prompts, role } = roleOf(system?.content ?? '');
    const sections = readSections(user?.content ?? '', prompts);
    const task = byPrompt.get(sections.get(prompts.headings.task) ?? '');
    if (task === undefined) throw new Error('oracleRoles: expected one of the tasks given.');
    const part = (heading: keyof Prompts['headings']): string =>
      sections.get(prompts.headings[heading]) ?? '';
    return JSON.stringify(REPLIES[role](task, part));
  };
}

/** The oracle as a model that knows the given tasks. */
export function oracleModel(tasks: readonly Task[]): ChatModel {
  const reply = oracleRoles(tasks);
  return {
    name: 'oracle',
    structured: true,
    complete: (request) =>
      Promise.resolve({
        text: reply(request),
        toolCalls: [],
        finish: 'stop',
        usage: { inputTokens: 0, outputTokens: 0 },
        model: 'oracle',
      }),
  };
}

type Part = (heading: keyof Prompts['headings']) => string;

const REPLIES: Readonly<Record<Role, (task: Task, part: Part) => unknown>> = {
  planner: (task) => {
    const plan = planOf(task);
    return {
      plan: plan.map(({ number }) => `step ${number}`),
      thought: 'The first comes first.',
      search: plan[0]?.queries[0] ?? 'nothing',
    };
  },
  rewriter: (task, part) => {
    const need = part('need');
    const step = planOf(task).find(({ queries }) => queries.includes(need));
    return { queries: step?.queries ?? [need] };
  },
  observer: observe,
  judge: (task, part) => {
    const golds = goldsOf(task);
    const given = part('answer')
      .split('\n')
      .map((line) => normalizeAnswer(line.replace(/^\d+\. /, '')));
    const isRight = golds.every(({ text, aliases }, i) => {
      const answers = task.type === 'ramp' ? [given[i]] : given;
      return [text, ...aliases].some((name) => answers.includes(normalizeAnswer(name)));
    });
    return { verdict: isRight && given.length === golds.length ? 'correct' : 'incorrect' };
  },
};

function observe(task: Task, part: Part): unknown {
  const transcript = part('transcript');
  const blocks = transcript.match(/<information>[^]*?<\/information>/g) ?? [];
  const findings: string[] = [];
  const due = planOf(task).find((step) => {
    const found = findingOf(step, blocks);
    if (found !== null) findings.push(found);
    return found === null;
  });
  const answer = due === undefined ? answerOf(task, findings, transcript) : null;
  if (answer !== null) {
    return { decision: 'answer', thought: `Found ${findings.join(', ')}.`, search: '', answer };
  }
  const query = due?.queries.find((candidate) => !transcript.includes(candidate));
  if (query === undefined) {
    return { decision: 'answer', thought: 'Nothing found.', search: '', answer: ['unknown'] };
  }
  const decision = findings.length > 0 ? 'next' : 'reflect';
  return { decision, thought: `So far ${findings.length}.`, search: query, answer: [] };
}

function findingOf({ looksFor, anchors }: PlanStep, blocks: readonly string[]): string | null {
  for (const block of blocks) {
    const found = findEvidence(block, looksFor, anchors);
    if (found !== null) return found;
  }
  return null;
}

function answerOf(task: Task, findings: readonly string[], transcript: string): string[] | null {
  if (task.type === 'ramp') return [...findings];
  const shown = `${transcript}\n${task.question}`;
  const answers = task.golds.map(
    ({ text, aliases }) => [text, ...aliases].find((name) => occursIn(shown, name)) ?? null,
  );
  return answers.every((answer) => answer !== null) ? answers : null;
}

function roleOf(system: string): { prompts: Prompts; role: Role } {
  for (const prompts of [ENGLISH, CHINESE]) {
    const role = ROLES.find((candidate) => prompts.system[candidate] === system);
    if (role !== undefined) return { prompts, role };
  }
  throw new Error('oracleRoles: expected the prompt of a role.');
}

/** Heading → text of a rendered message. */
function readSections(text: string, prompts: Prompts): Map<string, string> {
  const headings = new Set(Object.values(prompts.headings));
  const sections = new Map<string, string>();
  for (const part of text.split(/(?:^|\n\n)# /)) {
    const [heading = '', ...lines] = part.split('\n');
    if (headings.has(heading)) sections.set(heading, lines.join('\n'));
  }
  return sections;
}
