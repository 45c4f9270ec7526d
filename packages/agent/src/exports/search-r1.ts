// Rows of Search-R1 and verl: a prompt and the answers that count, for training by reinforcement. Tasks, not trajectories.
import { goldsOf, type Task } from '@masksearch/core';
import { joinSlots, renderPrompt } from '../protocol.ts';

export interface SearchR1Row {
  readonly id: string;
  readonly question: string;
  readonly golden_answers: readonly string[];
  /** Which reward function is asked; ours are no data set that a trainer knows. */
  readonly data_source: string;
  readonly prompt: readonly { readonly role: 'user'; readonly content: string }[];
  readonly ability: string;
  readonly reward_model: {
    readonly style: 'rule';
    readonly ground_truth: { readonly target: readonly string[] };
  };
  readonly extra_info: { readonly split: string; readonly index: number };
}

const INSTRUCTION = `Answer the task below. Reason inside <think> and </think> first, every time you get new information. If you lack knowledge, call a search engine by <search> query </search>; it returns results between <information> and </information>. Search as often as you want. When no more knowledge is needed, answer inside <answer> and </answer> without explanation.`;
const GAPS =
  ' The task is a paragraph with gaps marked [mask]: answer with what belongs in each gap, in order, separated by " ; ".';

/**
 * One row. Several golds of a question are all targets, and so are aliases; the gaps of a paragraph are one target, as they
 * are answered together.
 */
export function toSearchR1(task: Task, place: { split: string; index: number }): SearchR1Row {
  const question = renderPrompt(task).trim();
  const golds = goldsOf(task);
  const targets =
    task.type === 'ramp'
      ? [joinSlots(golds.map(({ text }) => text))]
      : golds.flatMap(({ text, aliases }) => [text, ...aliases]);
  const instruction = task.type === 'ramp' ? INSTRUCTION + GAPS : INSTRUCTION;
  return {
    id: task.id,
    question,
    golden_answers: targets,
    data_source: `masksearch_${task.type}`,
    prompt: [{ role: 'user', content: `${instruction}\n\n${question}\n` }],
    ability: 'fact-reasoning',
    reward_model: { style: 'rule', ground_truth: { target: targets } },
    extra_info: { split: place.split, index: place.index },
  };
}
