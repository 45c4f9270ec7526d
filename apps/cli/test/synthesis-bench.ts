// Measures synthesis against a server that misbehaves: nothing lost, nothing twice, wall time against the ideal, memory.
//
//   node apps/cli/test/synthesis-bench.ts --tasks 2002 --processes 4 --concurrency 64 --kills 20
//
// Appends one row to bench/results/synthesis.jsonl.
import { appendFileSync, cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { prepareRun } from './prepare-run.ts';
import { synthesisTrial } from './synthesis-trial.ts';

/** k1…k4, hop1, hop2, comparison. */
const GROUPS = 7;

const { values } = parseArgs({
  options: {
    tasks: { type: 'string', default: '2002' },
    processes: { type: 'string', default: '2' },
    concurrency: { type: 'string', default: '64' },
    latencyMs: { type: 'string', default: '200' },
    kills: { type: 'string', default: '0' },
    killEveryMs: { type: 'string', default: '3000' },
  },
});
const [tasks, processes, concurrency, latencyMs, kills, killEveryMs] = [
  values.tasks,
  values.processes,
  values.concurrency,
  values.latencyMs,
  values.kills,
  values.killEveryMs,
].map(Number) as [number, number, number, number, number, number];

const perGroup = Math.round(tasks / GROUPS);
const prepared = join(tmpdir(), `masksearch-trial-${perGroup}`);
if (!existsSync(join(prepared, 'tasks', 'manifest.json'))) await prepareRun(prepared, perGroup);
const run = mkdtempSync(join(tmpdir(), 'masksearch-trial-run-'));
cpSync(prepared, run, { recursive: true });
const faults = {
  'rate-limit': 0.05,
  'server-error': 0.05,
  stall: 0.02,
  cut: 0.03,
  malformed: 0.03,
  hostile: 0.02,
};
const result = await synthesisTrial({
  run,
  processes,
  concurrency,
  latencyMs,
  faults,
  kills,
  killEveryMs,
  seed: 1,
});
rmSync(run, { recursive: true });
const all = [...result.kept, ...result.rejected];
const reasons = Map.groupBy(result.rejected, ({ verdict }) => verdict.reason);
const row = {
  case: `${result.tasks} tasks, ${processes} processes, ${result.kills} kills`,
  tasks: result.tasks,
  recorded: all.length,
  distinct: new Set(all.map(({ taskId }) => taskId)).size,
  kept: result.kept.length,
  rejected: Object.fromEntries([...reasons].map(([reason, rows]) => [reason, rows.length])),
  kills: result.kills,
  leaks: result.leaks.length,
  concurrency,
  latencyMs,
  faults: result.statistics.faults,
  requests: result.statistics.requests,
  answeredTwice: result.statistics.repeated,
  wallSeconds: result.seconds,
  idealSeconds: result.idealSeconds,
  ratio: result.seconds / result.idealSeconds,
  loadAverage: loadavg()[0],
  cores: availableParallelism(),
  node: process.version,
  date: new Date().toISOString().slice(0, 10),
};
appendFileSync(
  join(import.meta.dirname, '../../../bench/results/synthesis.jsonl'),
  `${JSON.stringify(row)}\n`,
);
console.log(row);
