// How a list of slot texts is written as an answer: joined, or as the whole paragraph with its gaps filled.
import { MASK_MARKER, type Task } from '@masksearch/core';
import type { EpisodeConfig } from './episode-config.ts';
import { joinSlots } from './protocol.ts';

/** The writer of answers for a task; questions are always answered by a list. */
export function answerRenderer(
  task: Task,
  config: Pick<EpisodeConfig, 'answerForm'>,
): (slots: readonly string[]) => string {
  if (task.type === 'qa' || config.answerForm === 'slots') return joinSlots;
  const [first = '', ...rest] = task.masked.split(MASK_MARKER);
  return (slots) => first + rest.map((text, i) => `${slots[i]}${text}`).join('');
}
