// The answers of the memory planner as a table for people.
import type { MemoryNeed } from './memory-needs.ts';

const GIB = 2 ** 30;
// `packed`: the matrices once more in the kernels' order, and transposed where they are trained through.
const COLUMNS = [
  'weights',
  'gradients',
  'AdamW',
  'packed',
  'activations',
  'KV',
  'other',
  'total',
] as const;

/** One line per need, in GiB, with the flags that make it fit where they differ from what was asked about. */
export function formatNeeds(needs: readonly MemoryNeed[], memoryBytes: number): string {
  const head = ['tokens', 'train', ...COLUMNS].map((name) => name.padStart(12)).join('');
  const lines = needs.map((need) => {
    const cells = [String(need.sequenceTokens), need.mode, ...bytesOf(need).map(gib)];
    return `${cells.map((cell) => cell.padStart(12)).join('')}  ${verdict(need)}`;
  });
  return [`GiB of ${gib(memoryBytes)}`, head, ...lines].join('\n');
}

function bytesOf({ plan, totalBytes }: MemoryNeed): number[] {
  const { weights, gradients, moments, packed, keyValues } = plan;
  const activations = plan.activations + plan.lossHead;
  const named = [weights, gradients, moments, packed, activations, keyValues];
  const other = totalBytes - named.reduce((sum, bytes) => sum + bytes, 0);
  return [...named, other, totalBytes];
}

function verdict({ fits, fitting }: MemoryNeed): string {
  if (fits) return 'fits';
  if (fitting === null) return 'does not fit';
  const { concurrency, microBatchTokens } = fitting;
  return `fits with --rl.concurrency ${concurrency} --sft.microBatchTokens ${microBatchTokens} --rl.microBatchTokens ${microBatchTokens}`;
}

function gib(bytes: number): string {
  return (bytes / GIB).toFixed(2);
}
