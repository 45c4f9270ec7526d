// The assignment of rows to columns with the largest total, for answers whose order is free.

/**
 * Column of each row in an assignment that maximises the sum of `scores`; no column is used twice.
 * Rows beyond the number of columns get -1.
 *
 * @param scores (rows, columns) finite numbers.
 * @see Kuhn, "The Hungarian method" (1955), in the O(rows² · columns) form with potentials.
 */
export function bestMatching(scores: readonly (readonly number[])[]): number[] {
  const columns = scores[0]?.length ?? 0;
  if (scores.length <= columns) return assignRows(scores);
  const transposed = Array.from({ length: columns }, (_, c) => scores.map((row) => row[c] ?? 0));
  const rowOfColumn = assignRows(transposed);
  return scores.map((_, r) => rowOfColumn.indexOf(r));
}

/** As `bestMatching`, for at least as many columns as rows. Row and column 0 are sentinels. */
function assignRows(scores: readonly (readonly number[])[]): number[] {
  const rows = scores.length;
  const columns = scores[0]?.length ?? 0;
  const rowPotential = new Float64Array(rows + 1);
  const columnPotential = new Float64Array(columns + 1);
  const rowOf = new Int32Array(columns + 1);
  for (let r = 1; r <= rows; r++) {
    const previous = new Int32Array(columns + 1);
    const slack = new Float64Array(columns + 1).fill(Infinity);
    const isUsed = new Uint8Array(columns + 1);
    let column = 0;
    rowOf[0] = r;
    do {
      isUsed[column] = 1;
      const row = rowOf[column] as number;
      let delta = Infinity;
      let next = 0;
      for (let c = 1; c <= columns; c++) {
        if (isUsed[c]) continue;
        const cost = -(scores[row - 1]?.[c - 1] ?? 0);
        const reduced = cost - (rowPotential[row] as number) - (columnPotential[c] as number);
        if (reduced < (slack[c] as number)) {
          slack[c] = reduced;
          previous[c] = column;
        }
        if ((slack[c] as number) < delta) {
          delta = slack[c] as number;
          next = c;
        }
      }
      for (let c = 0; c <= columns; c++) {
        if (isUsed[c]) {
          const usedRow = rowOf[c] as number;
          rowPotential[usedRow] = (rowPotential[usedRow] as number) + delta;
          columnPotential[c] = (columnPotential[c] as number) - delta;
        } else {
          slack[c] = (slack[c] as number) - delta;
        }
      }
      column = next;
    } while (rowOf[column] !== 0);
    while (column !== 0) {
      const before = previous[column] as number;
      rowOf[column] = rowOf[before] as number;
      column = before;
    }
  }
  const result = Array<number>(rows).fill(-1);
  for (let c = 1; c <= columns; c++) {
    const row = rowOf[c] as number;
    if (row > 0) result[row - 1] = c - 1;
  }
  return result;
}
