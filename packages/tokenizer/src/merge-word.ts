// The BPE merge loop: repeatedly joins the pair of lowest rank, leftmost first.
import { Heap } from './heap.ts';
import { NO_MERGE, type MergeTable } from './merge-table.ts';

// Above this length the heap (n log n) beats scanning (n²).
const SCAN_LIMIT = 48;

/**
 * Merges a word given as byte-symbol ids.
 * @param symbols (n) ids; overwritten.
 * @returns ids after all merges.
 */
export function mergeWord(symbols: Int32Array, table: MergeTable): Int32Array {
  return symbols.length <= SCAN_LIMIT
    ? mergeByScanning(symbols, table)
    : mergeByHeap(symbols, table);
}

function mergeByScanning(ids: Int32Array, table: MergeTable): Int32Array {
  let length = ids.length;
  const ranks = new Int32Array(Math.max(0, length - 1));
  for (let i = 0; i + 1 < length; i++) {
    ranks[i] = table.rank(ids[i] as number, ids[i + 1] as number);
  }
  for (;;) {
    let best = NO_MERGE;
    let at = -1;
    for (let i = 0; i + 1 < length; i++) {
      const rank = ranks[i] as number;
      if (rank !== NO_MERGE && (best === NO_MERGE || rank < best)) {
        best = rank;
        at = i;
      }
    }
    if (at < 0) return ids.slice(0, length);
    ids[at] = table.merged[best] as number;
    ids.copyWithin(at + 1, at + 2, length);
    ranks.copyWithin(at, at + 1, length - 1);
    length--;
    if (at > 0) ranks[at - 1] = table.rank(ids[at - 1] as number, ids[at] as number);
    if (at + 1 < length) ranks[at] = table.rank(ids[at] as number, ids[at + 1] as number);
  }
}

/** A candidate: join the symbol at `at` with its right neighbour, if they are still what they were. */
interface Candidate {
  readonly rank: number;
  readonly at: number;
  readonly left: number;
  readonly right: number;
}

function mergeByHeap(ids: Int32Array, table: MergeTable): Int32Array {
  const n = ids.length;
  const REMOVED = -1;
  // A doubly linked list over positions; n and -1 are the ends.
  const next = Int32Array.from(ids, (_, i) => i + 1);
  const previous = Int32Array.from(ids, (_, i) => i - 1);
  const heap = new Heap<Candidate>(before);
  const offer = (at: number): void => {
    const to = at < 0 ? n : (next[at] as number);
    if (to >= n) return;
    const left = ids[at] as number;
    const right = ids[to] as number;
    const rank = table.rank(left, right);
    if (rank !== NO_MERGE) heap.push({ rank, at, left, right });
  };
  for (let i = 0; i < n; i++) offer(i);
  for (let top = heap.pop(); top !== undefined; top = heap.pop()) {
    const { at, left, right, rank } = top;
    const to = next[at] as number;
    if (ids[at] !== left || to >= n || ids[to] !== right) continue;
    const after = next[to] as number;
    ids[at] = table.merged[rank] as number;
    ids[to] = REMOVED;
    next[at] = after;
    if (after < n) previous[after] = at;
    offer(previous[at] as number);
    offer(at);
  }
  return ids.filter((id) => id !== REMOVED);
}

function before(a: Candidate, b: Candidate): boolean {
  return a.rank < b.rank || (a.rank === b.rank && a.at < b.at);
}
