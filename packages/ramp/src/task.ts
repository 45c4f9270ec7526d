// Makes one RAMP task and checks everything that must hold of it.
import { InputError, MASK_MARKER, RECORD_VERSION } from '@masksearch/core';
import type { MaskTask, Passage, Span } from '@masksearch/core';
import { difficulty } from './difficulty.ts';
import { holdsMarker } from './eligibility.ts';
import { maskText, unmask } from './mask.ts';
import { checkSpan } from './spans.ts';
import { countOccurrences } from './words.ts';

export interface TaskInput {
  readonly passage: Passage;
  /** In text order. */
  readonly slots: readonly Span[];
  readonly excludedPassages: readonly string[];
  /** Per slot; see `evidenceRanks`. */
  readonly ranks: readonly (number | null)[];
  /** How many search results were looked through for `ranks`. */
  readonly topK: number;
  /** Largest k of the run, for the difficulty. */
  readonly kMax: number;
  /** In [0, 1]; default `difficulty`'s. */
  readonly difficulty?: number | undefined;
}

/** The id of the task that masks k spans of a passage. */
export function taskId(passageId: string, k: number): string {
  return `ramp:${passageId}:k${k}`;
}

/** @throws {InputError} the text holds a marker, or the result breaks an invariant of `checkTask`. */
export function makeTask(input: TaskInput): MaskTask {
  const { passage, slots, excludedPassages, ranks, topK, kMax } = input;
  const { text } = passage;
  const task: MaskTask = {
    version: RECORD_VERSION,
    id: taskId(passage.id, slots.length),
    group: `k${slots.length}`,
    difficulty: input.difficulty ?? difficulty({ text, slots, kMax, ranks, topK }),
    excludedPassages: [...excludedPassages],
    type: 'ramp',
    documentId: passage.documentId,
    passageId: passage.id,
    title: passage.title,
    text,
    masked: maskText(text, slots),
    slots: [...slots],
    k: slots.length,
    retrievable: ranks.map((rank) => rank !== null),
  };
  checkTask(task);
  return task;
}

/**
 * Checks what the schema cannot: exact offsets, text order without overlap, k, one marker per slot, no
 * marker in the source, no answer to be read beside the masks, and that unmasking gives the text back.
 * @throws {InputError} naming the task and what does not hold.
 */
export function checkTask(task: MaskTask): void {
  const where = `checkTask(${task.id})`;
  if (holdsMarker(task.text)) {
    throw new InputError(`${where}: expected a text without ${MASK_MARKER}, received one.`);
  }
  if (task.k !== task.slots.length || task.retrievable.length !== task.k) {
    throw new InputError(
      `${where}: expected k = ${task.k} slots, received ${task.slots.length} slots and ${task.retrievable.length} retrievable flags.`,
    );
  }
  let previousEnd = -1;
  for (const slot of task.slots) {
    checkSpan(where, task.text, slot);
    if (slot.start <= previousEnd) {
      throw new InputError(
        `${where}: expected slots apart and in text order, received one at ${slot.start} after ${previousEnd}.`,
      );
    }
    previousEnd = slot.end;
  }
  if (unmask(task) !== task.text) {
    throw new InputError(`${where}: expected unmasking to give the text, received another.`);
  }
  const visible = task.masked.replaceAll(MASK_MARKER, '\n');
  const shown = task.slots.find((slot) => countOccurrences(visible, slot.text) > 0);
  if (shown) {
    throw new InputError(
      `${where}: expected ${JSON.stringify(shown.text)} to be hidden, received a paragraph that shows it elsewhere.`,
    );
  }
}
