// Runs every task once and scores it; knows nothing about models, tokens or search.
import { CancelledError, ConfigError, type FinishReason, type Task } from '@masksearch/core';
import {
  exactMatch,
  outcome,
  perSlotScores,
  slotRequest,
  tokenF1,
  tokenRecall,
  type AnswerMetric,
} from '@masksearch/rewards';

/** What an evaluation needs to know of an episode. */
export interface EpisodeOutcome {
  /** The answer per slot, or null if none was given. */
  readonly answer: readonly string[] | null;
  readonly finishReason: FinishReason;
  /** Search calls made. */
  readonly searches: number;
  /** Tokens that the policy wrote. */
  readonly policyTokens: number;
}

/** One task's scores: means over its slots, in [0, 1]. */
export interface EvaluatedTask {
  readonly taskId: string;
  readonly type: Task['type'];
  readonly group: string;
  readonly exact: number;
  readonly recall: number;
  readonly f1: number;
  /** 1 if every slot is exactly right. */
  readonly outcome: number;
  readonly searches: number;
  readonly policyTokens: number;
  readonly finishReason: FinishReason;
}

export interface EvaluationRequest {
  readonly tasks: readonly Task[];
  readonly runEpisode: (task: Task, index: number) => Promise<EpisodeOutcome>;
  /** Episodes under way at once; at least 1. */
  readonly concurrency: number;
  readonly signal?: AbortSignal | undefined;
  /** Called after each episode. */
  readonly onProgress?: (progress: { readonly done: number; readonly total: number }) => void;
}

/**
 * Scores of all tasks, in their order whatever the concurrency. An episode that did not end with an
 * answer scores 0. The first failure of `runEpisode` ends the evaluation once the episodes under way
 * have settled.
 *
 * @throws {CancelledError} when `signal` fires. @throws {ConfigError} concurrency < 1.
 */
export async function evaluate(request: EvaluationRequest): Promise<EvaluatedTask[]> {
  const { tasks, runEpisode, concurrency, signal, onProgress } = request;
  if (!(concurrency >= 1)) {
    throw new ConfigError(`evaluate: expected concurrency >= 1, received ${concurrency}.`);
  }
  const rows: EvaluatedTask[] = [];
  let next = 0;
  let done = 0;
  let hasFailed = false;
  const work = async (): Promise<void> => {
    while (next < tasks.length && !hasFailed) {
      if (signal?.aborted) throw new CancelledError('evaluate: cancelled.', signal.reason);
      const index = next++;
      const task = tasks[index] as Task;
      rows[index] = scoreTask(task, await runEpisode(task, index));
      onProgress?.({ done: ++done, total: tasks.length });
    }
  };
  const workers = Array.from({ length: Math.min(concurrency, tasks.length) }, () =>
    work().catch((error: unknown) => {
      hasFailed = true;
      throw error;
    }),
  );
  const settled = await Promise.allSettled(workers);
  const failure = settled.find((result) => result.status === 'rejected');
  if (failure) throw failure.reason;
  return rows;
}

/** Scores one episode; only an answer that ended the episode counts. */
export function scoreTask(task: Task, episode: EpisodeOutcome): EvaluatedTask {
  const answer = episode.finishReason === 'answer' ? episode.answer : null;
  const request = slotRequest(task, answer);
  const score = (metric: AnswerMetric): number => {
    const slots = perSlotScores(request, metric);
    return slots.reduce((sum, slot) => sum + slot, 0) / slots.length;
  };
  return {
    taskId: task.id,
    type: task.type,
    group: task.group,
    exact: score(exactMatch),
    recall: score(tokenRecall),
    f1: score(tokenF1),
    outcome: outcome(request),
    searches: episode.searches,
    policyTokens: episode.policyTokens,
    finishReason: episode.finishReason,
  };
}
