// Which samples were cut off by a budget instead of ending by themselves.
import type { Sample } from '@masksearch/core';

/** The last turn was cut in mid-sentence: what it would have said is unknown. */
export function isTruncated({ finishReason }: Pick<Sample, 'finishReason'>): boolean {
  return (
    finishReason === 'turn-length' ||
    finishReason === 'trajectory-length' ||
    finishReason === 'context-full'
  );
}
