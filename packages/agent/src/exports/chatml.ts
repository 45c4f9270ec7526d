// ChatML with function calls: the record of MaskSearch's own trajectories, in our words.
import { goldsOf, type Task, type Trajectory } from '@masksearch/core';
import { SEARCH_FUNCTION, thinkBlock } from './search-function.ts';
import { exportedSteps } from './steps.ts';

export interface ChatmlMessage {
  readonly role: 'user' | 'assistant' | 'function';
  readonly content: string;
  /** `arguments` is JSON text, as models write it. */
  readonly function_call?: { readonly name: string; readonly arguments: string };
  readonly name?: string;
  readonly finish_reason?: 'stop';
}

export interface ChatmlRecord {
  readonly type: 'chatml';
  readonly messages: readonly ChatmlMessage[];
  readonly functions: readonly (typeof SEARCH_FUNCTION)[];
  readonly ext: {
    readonly task_id: string;
    readonly group: string;
    readonly golden_answer: readonly string[];
    readonly response_acc: boolean;
  };
}

/** @throws {InputError} the trajectory did not come to an answer. */
export function toChatml(trajectory: Trajectory, task: Task): ChatmlRecord {
  const { prompt, searches, thought, answer } = exportedSteps(trajectory);
  const { name } = SEARCH_FUNCTION;
  const turns = searches.flatMap((search): ChatmlMessage[] => [
    {
      role: 'assistant',
      content: thinkBlock(search.thought),
      function_call: { name, arguments: JSON.stringify({ queries: search.queries }) },
    },
    { role: 'function', name, content: `<information>\n${search.information}\n</information>` },
  ]);
  const last = `${thinkBlock(thought)}<answer>${answer}</answer>`;
  return {
    type: 'chatml',
    messages: [
      { role: 'user', content: prompt },
      ...turns,
      { role: 'assistant', content: last, finish_reason: 'stop' },
    ],
    functions: [SEARCH_FUNCTION],
    ext: {
      task_id: trajectory.taskId,
      group: trajectory.group,
      golden_answer: goldsOf(task).map(({ text }) => text),
      response_acc: trajectory.verdict.accepted,
    },
  };
}
