// What can be wrong with the values in an array, in words; both implementations find the same faults.
import { InputError } from '@masksearch/core';

/** Indexed by the enum Fault of include/masking.h. */
const FAULTS = [
  'nothing',
  'offsets to start at 0, never descend and end at the number of tokens',
  'spanOffsets to start at 0, never descend and end at the number of spans',
  'segmentOffsets to start at 0, never descend and end at the number of segments',
  'token ranges with 0 <= start <= end whose starts and ends never descend within a sequence',
  'spans with start < end, ascending and without overlap within a sequence',
  'segments that partition their sequence, from its first token to its last',
  'authors to be one of AUTHOR_CODES (0..3)',
  'flags to be 0 or 1',
  'lengths to be at least 0',
] as const;

/** Names of the faults, for the reference. */
export const FAULT = {
  offsets: 1,
  spanOffsets: 2,
  segmentOffsets: 3,
  tokens: 4,
  spans: 5,
  segments: 6,
  authors: 7,
  maskFlags: 8,
  lengths: 9,
} as const;

/** The error for a fault at `position`, the index of the first faulty element. */
export function faultError(where: string, fault: number, position: number): InputError {
  const expected = FAULTS[fault] ?? 'valid values';
  return new InputError(
    `${where}: expected ${expected}, received something else at index ${position}.`,
    { data: { fault, position } },
  );
}
