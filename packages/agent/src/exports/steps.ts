// A trajectory taken apart for other formats: thought, queries and results of every search, then thought and answer.
import { InputError, type Trajectory } from '@masksearch/core';
import { splitQueries } from '../multi-query.ts';
import { unwrapInformation } from '../observation.ts';
import { parseTurn } from '../protocol.ts';

export interface ExportedSearch {
  readonly thought: string;
  readonly queries: readonly string[];
  /** What the search showed, without its tag. */
  readonly information: string;
}

export interface ExportedSteps {
  /** The task as the student is given it. */
  readonly prompt: string;
  readonly searches: readonly ExportedSearch[];
  readonly thought: string;
  /** The answer as it was written. */
  readonly answer: string;
}

/** @throws {InputError} the trajectory is not a prompt, searches with their results, and an answer. */
export function exportedSteps({ taskId, messages }: Trajectory): ExportedSteps {
  const [prompt, ...rest] = messages;
  const refuse = (at: number, what: string): InputError =>
    new InputError(
      `export(${taskId}): expected ${what} as message ${at}, received something else.`,
    );
  if (prompt?.author !== 'user') throw refuse(0, 'a prompt');
  const searches: ExportedSearch[] = [];
  for (let i = 0; i + 1 < rest.length; i += 2) {
    const [turn, result] = [rest[i], rest[i + 1]];
    const action = turn?.author === 'policy' ? parseTurn(turn.text) : null;
    if (action?.type !== 'search') throw refuse(i + 1, 'a search');
    const information = result?.author === 'tool' ? unwrapInformation(result.text) : null;
    if (information === null) throw refuse(i + 2, 'results');
    const queries = splitQueries(action.query);
    searches.push({ thought: action.thought, queries, information: information.trim() });
  }
  const last = rest.length % 2 === 1 ? rest.at(-1) : undefined;
  const action = last?.author === 'policy' ? parseTurn(last.text) : null;
  if (action?.type !== 'answer') throw refuse(messages.length - 1, 'an answer');
  return {
    prompt: prompt.text.trim(),
    searches,
    thought: action.thought,
    answer: action.text,
  };
}
