// What the search and corpus benches share: generated passages, and the JSON lines that they print, each a measurement with its floor and
// where it was made.
import { execFileSync } from 'node:child_process';
import { cpus, loadavg } from 'node:os';
import type { Passage } from '../packages/core/src/index.ts';

export interface Row {
  readonly case: string;
  readonly unit: string;
  readonly measured: number;
  /** The least that the case could take; `floorIs` says what was measured for it. */
  readonly floor: number;
  readonly floorIs: string;
  /** What the project asks for. */
  readonly limit?: number;
  readonly [detail: string]: unknown;
}

const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
const machine = `${cpus()[0]?.model}, ${cpus().length} cores, Node ${process.version}`;

export function printRow(row: Row, command: string): void {
  const loadAverage = Number(loadavg()[0]?.toFixed(1));
  const date = new Date().toISOString().slice(0, 10);
  const ratio = row.measured / row.floor;
  const place = { machine, loadAverage, commit, command, date };
  console.log(JSON.stringify({ ...row, ratio, peer: null, ...place }));
}

/** Number i of a generated corpus, a document of its own without a title. */
export function passageOf(i: number, text: string): Passage {
  return { version: 1, id: `d${i}#0`, documentId: `d${i}`, title: '', text, start: 0 };
}
