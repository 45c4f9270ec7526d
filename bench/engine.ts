// Bench of the native engine: builds engine_bench, which verifies before it times, runs it, and, given a Python
// with PyTorch and transformers, runs bench/peers/engine_torch.py on the same weights in turns with it.
//
//   pnpm bench engine [--json] [--model large|small] [--threads 1] [--clock cpu|wall] [--seconds 1] [--python PATH]
//
// --json prints one object a line: case, floor, measured, ratio (measured / floor), unit, peer. Without it, a table.
// PATH (default: the environment's MASKSEARCH_PYTHON) is the Python of the peers; without one, peer is null.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

interface Peer {
  readonly name: string;
  readonly measured: number;
  /** Ours over the peer's. */
  readonly ratio: number;
}

interface Row {
  readonly case: string;
  readonly floor: number;
  readonly measured: number;
  readonly ratio: number;
  readonly unit: string;
  readonly peer: Peer | null;
}

/** A case that a peer runs too: arguments of engine_bench that select it, and the peer's commands. */
interface SharedCase {
  readonly select: readonly string[];
  readonly peers: readonly string[];
}

const SHARED_CASES: readonly SharedCase[] = [
  { select: ['--only', 'train', '--length', '512'], peers: ['train float32'] },
  {
    select: ['--only', 'train', '--length', '512', '--dtype', 'bfloat16'],
    peers: ['train bfloat16-autocast'],
  },
  ...['float32', 'bfloat16'].flatMap((dtype) =>
    ['1', '64'].map((batch) => ({
      select: ['--only', 'decode', '--batch', batch, '--dtype', dtype],
      peers: [`generate ${dtype} ${batch}`],
    })),
  ),
];
/** Turns of engine and peer, whose medians are compared. */
const TURNS = 3;

const root = join(import.meta.dirname, '..');
const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    model: { type: 'string', default: 'large' },
    threads: { type: 'string', default: '1' },
    clock: { type: 'string', default: 'cpu' },
    seconds: { type: 'string', default: '1' },
    python: { type: 'string', default: process.env.MASKSEARCH_PYTHON ?? '' },
  },
});
const common = ['model', 'threads', 'clock', 'seconds'].flatMap((name) => [
  `--${name}`,
  String(options[name as keyof typeof options]),
]);

const bench = build();
const rows = [...runEngine([]), ...runEngine(['--dtype', 'bfloat16'])];
if (options.python !== '') rows.push(...(await runAgainstPeers(options.python)));
if (options.json) printJson(rows);
else printTable(rows);

/** Configures and builds out of the addon's way; returns the program. */
function build(): string {
  const folder = join(root, 'native/engine/build/bench');
  const source = join(root, 'native/engine');
  const quiet = { stdio: ['ignore', 'ignore', 'inherit'] as const };
  execFileSync('cmake', ['-S', source, '-B', folder, '-DCMAKE_BUILD_TYPE=Release'], {
    stdio: [...quiet.stdio],
  });
  const jobs = String(availableParallelism());
  execFileSync('cmake', ['--build', folder, '--target', 'engine_bench', '-j', jobs], {
    stdio: [...quiet.stdio],
  });
  return join(folder, 'engine_bench');
}

function runEngine(select: readonly string[]): Row[] {
  const output = execFileSync(bench, [...common, ...select], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return output
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Row);
}

async function runAgainstPeers(python: string): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'engine-bench-'));
  const dump = join(folder, 'model.bin');
  runEngine(['--dump', dump]);
  const script = join(root, 'bench/peers/engine_torch.py');
  const child = spawn(python, [script, dump, options.threads, options.clock], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ask = async (command: string): Promise<{ name: string; measured: number }> => {
    child.stdin.write(`${command}\n`);
    const answer = await answers.next();
    if (answer.done) throw new Error(`engine bench: expected an answer of ${script}, it ended.`);
    return JSON.parse(answer.value) as { name: string; measured: number };
  };
  try {
    const result: Row[] = [];
    for (const shared of SHARED_CASES) result.push(...(await runShared(shared, ask)));
    return result;
  } finally {
    child.stdin.end();
    rmSync(folder, { recursive: true });
  }
}

async function runShared(
  shared: SharedCase,
  ask: (command: string) => Promise<{ name: string; measured: number }>,
): Promise<Row[]> {
  const ours: Row[] = [];
  const theirs = shared.peers.map((): { name: string; measured: number }[] => []);
  for (let turn = 0; turn < TURNS; turn++) {
    ours.push(...runEngine(shared.select));
    for (const [i, command] of shared.peers.entries()) theirs[i]?.push(await ask(command));
  }
  const row = median(ours, (r) => r.measured);
  return theirs.map((answers) => {
    const peer = median(answers, (answer) => answer.measured);
    return { ...row, peer: { ...peer, ratio: row.measured / peer.measured } };
  });
}

function median<T>(items: readonly T[], key: (item: T) => number): T {
  const middle = [...items].sort((a, b) => key(a) - key(b))[items.length >> 1];
  if (middle === undefined) throw new Error('engine bench: expected a measurement, found none.');
  return middle;
}

function printJson(all: readonly Row[]): void {
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], {
    cwd: root,
    encoding: 'utf8',
  });
  const place = {
    machine: `${cpus()[0]?.model}, ${cpus().length} cores`,
    loadAverage: Number(loadavg()[0]?.toFixed(1)),
    commit: commit.trim(),
    command: `pnpm bench engine ${process.argv.slice(2).join(' ')}`.trim(),
    date: new Date().toISOString().slice(0, 10),
  };
  for (const row of all) console.log(JSON.stringify({ ...row, ...place }));
}

function printTable(all: readonly Row[]): void {
  const number = (value: number): string => value.toPrecision(4);
  console.table(
    all.map(({ peer, ...row }) => ({
      case: row.case,
      floor: number(row.floor),
      measured: number(row.measured),
      unit: row.unit,
      'of floor': row.ratio.toFixed(2),
      peer: peer === null ? '' : `${peer.name}: ${number(peer.measured)}`,
      'ours / peer': peer === null ? '' : peer.ratio.toFixed(2),
    })),
  );
}
