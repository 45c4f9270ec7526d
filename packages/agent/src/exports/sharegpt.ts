// ShareGPT as LLaMA-Factory reads it: people and observations at odd places, model and function calls at even ones.
import type { Trajectory } from '@masksearch/core';
import { SEARCH_FUNCTION, thinkBlock } from './search-function.ts';
import { exportedSteps } from './steps.ts';

export interface ShareGptTurn {
  readonly from: 'human' | 'gpt' | 'function_call' | 'observation';
  readonly value: string;
}

export interface ShareGptRecord {
  readonly conversations: readonly ShareGptTurn[];
  /** JSON text: the list of functions. */
  readonly tools: string;
}

/** LLaMA-Factory's `dataset_info.json` for a file of these records. */
export function datasetInfo(name: string, file: string): Record<string, unknown> {
  return {
    [name]: {
      file_name: file,
      formatting: 'sharegpt',
      columns: { messages: 'conversations', tools: 'tools' },
    },
  };
}

/** A function call is a thought in its tag, then JSON with name and arguments. @throws {InputError} there is no answer. */
export function toShareGpt(trajectory: Trajectory): ShareGptRecord {
  const { prompt, searches, thought, answer } = exportedSteps(trajectory);
  const turns = searches.flatMap(({ thought: before, queries, information }): ShareGptTurn[] => {
    const call = JSON.stringify({ name: SEARCH_FUNCTION.name, arguments: { queries } });
    return [
      { from: 'function_call', value: `${thinkBlock(before)}${call}` },
      { from: 'observation', value: information },
    ];
  });
  return {
    conversations: [
      { from: 'human', value: prompt },
      ...turns,
      { from: 'gpt', value: `${thinkBlock(thought)}<answer>${answer}</answer>` },
    ],
    tools: JSON.stringify([SEARCH_FUNCTION]),
  };
}
