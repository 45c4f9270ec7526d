// The judge of trajectories: one for teachers and models alike. What it does not understand it rejects.
import { goldsOf, type Task, type Trajectory } from '@masksearch/core';
import { outcome, slotRequest } from '@masksearch/rewards';
import { occursIn } from './evidence.ts';
import { alignFilled } from './fill-alignment.ts';
import { unwrapInformation } from './observation.ts';
import { parseTurn, renderPrompt, splitSlots, type Action } from './protocol.ts';

export type Verdict = Trajectory['verdict'];
/** What is judged: a trajectory as text. */
export type JudgedRecord = Pick<Trajectory, 'messages' | 'searches' | 'answer' | 'finishReason'>;

/**
 * Accepts a trajectory that is well formed, answers every slot rightly, and whose every answer stands in what its
 * searches showed (for comparisons also: in the question). The reason names the first thing that is wrong.
 */
export function judge(task: Task, record: JudgedRecord): Verdict {
  const { form, answer, support } = examine(task, record);
  const reason = form ?? answer ?? support;
  return { accepted: reason === null, reason: reason ?? 'accepted' };
}

/** What is wrong with a trajectory, by kind; null where nothing is. Without form the others mean little. */
export interface Findings {
  /** Unfinished, malformed, or fed with what retrieval must not return. */
  readonly form: string | null;
  readonly answer: string | null;
  /** An answer that no search showed. */
  readonly support: string | null;
}

/** Looks at a trajectory by rules alone. */
export function examine(task: Task, record: JudgedRecord): Findings {
  return {
    form:
      (record.finishReason === 'answer' ? null : `unfinished: ${record.finishReason}`) ??
      formatFault(task, record) ??
      leakFault(task, record),
    answer: answerFault(task, record.answer ?? []),
    support: supportFault(task, record),
  };
}

function formatFault(task: Task, { messages, searches, answer }: JudgedRecord): string | null {
  const [prompt, ...rest] = messages;
  if (prompt?.author !== 'user' || prompt.text !== renderPrompt(task)) return 'format: prompt';
  // Policy and tool take turns: search, information, …, answer.
  if (rest.length !== 2 * searches.length + 1) return 'format: turns';
  for (const [i, call] of searches.entries()) {
    const [turn, information] = [rest[2 * i], rest[2 * i + 1]];
    const action = turn?.author === 'policy' ? parseTurn(turn.text) : null;
    if (action?.type !== 'search' || action.query !== call.query) return 'format: search';
    if (call.error !== undefined) return 'failed search';
    if (information?.author !== 'tool' || unwrapInformation(information.text) === null) {
      return 'format: information';
    }
  }
  const last = rest.at(-1);
  const action = last?.author === 'policy' ? parseTurn(last.text) : null;
  return action?.type === 'answer' && states(task, action, answer) ? null : 'format: answer';
}

/** True if the recorded answer is what the last turn says, as slots or as a filled paragraph. */
function states(
  task: Task,
  action: Extract<Action, { type: 'answer' }>,
  answer: readonly string[] | null,
): boolean {
  const readings = [splitSlots(action.text)];
  if (task.type === 'ramp') readings.push(alignFilled(task.masked, action.text));
  return readings.some((slots) => JSON.stringify(slots) === JSON.stringify(answer));
}

function leakFault(task: Task, { searches }: JudgedRecord): string | null {
  const excluded = new Set(task.excludedPassages);
  const leaks = searches.some(({ results }) => results.some(({ id }) => excluded.has(id)));
  return leaks ? 'excluded passage retrieved' : null;
}

function answerFault(task: Task, answer: readonly string[]): string | null {
  if (answer.length !== goldsOf(task).length) return 'wrong number of answers';
  return outcome(slotRequest(task, answer)) === 1 ? null : 'wrong answer';
}

function supportFault(task: Task, { messages, answer }: JudgedRecord): string | null {
  const shown = messages.filter(({ author }) => author === 'tool').map(({ text }) => text);
  if (task.type === 'qa' && task.group === 'comparison') shown.push(task.question);
  const isSupported = (slot: string): boolean => shown.some((text) => occursIn(text, slot));
  return answer?.every(isSupported) ? null : 'unsupported answer';
}
