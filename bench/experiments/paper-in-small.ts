// Runs the experiments of the paper in small: every arm for several seeds, then a table of paired differences.
//   node bench/experiments/paper-in-small.ts [--seeds 1,2,3] [--jobs 2] [--folder runs/experiments] [--arms a,b]
// What is finished is skipped, so the same command goes on after an interruption. Rows go to stdout, one JSON object a line.
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { compareEvaluations, type EvaluatedTask } from '../../packages/evaluation/src/index.ts';
import { readConfigFile } from '../../apps/cli/src/config/load.ts';
import { arms, comparisons, type Arm } from './arms.ts';

const { values: flags } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1,2,3' },
    jobs: { type: 'string', default: '2' },
    folder: { type: 'string', default: 'runs/experiments' },
    arms: { type: 'string', default: Object.keys(arms).join(',') },
  },
});
const root = join(import.meta.dirname, '../..');
const seeds = flags.seeds.split(',').map(Number);
const quickstart = readConfigFile(join(root, 'runs/configs/quickstart.yaml'));

type Settings = Readonly<Record<string, unknown>>;

/** Settings laid over others, section by section. */
function merge(under: Settings, over: Settings): Settings {
  const isSection = (value: unknown): value is Settings =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  const merged: Record<string, unknown> = { ...under };
  for (const [key, value] of Object.entries(over)) {
    const old = merged[key];
    merged[key] = isSection(value) && isSection(old) ? merge(old, value) : value;
  }
  return merged;
}

/** The quickstart's settings for one job of several. */
function settingsOf(seed: number, settings: Settings): Settings {
  const shared = { seed, model: { threads: Number(flags.jobs) > 1 ? 1 : 0 } };
  return merge(merge(quickstart, shared), settings);
}

async function runStages(
  folder: string,
  settings: Settings,
  stages: readonly string[],
): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const config = `${folder}.json`;
  writeFileSync(config, JSON.stringify(settings));
  for (const stage of stages) {
    const args = ['apps/cli/src/main.ts', stage, '--config', config, '--run', folder];
    const child = spawn(process.execPath, args, {
      cwd: root,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const code = await new Promise((resolve) => child.once('close', resolve));
    if (code !== 0) throw new Error(`${folder}: stage ${stage} ended with code ${String(code)}`);
  }
}

const tasksStages = ['corpus', 'index', 'tasks'];

/** Trains an arm unless it is there, plays the held-out tasks of its seed, and gives their scores. */
async function runArm(seed: number, name: string): Promise<EvaluatedTask[]> {
  const { settings, last, from } = arms[name] as Arm;
  const folder = join(root, flags.folder, `seed-${seed}`);
  const arm = join(folder, name);
  const start = join(folder, from ?? 'shared');
  if (!existsSync(arm)) cpSync(start, arm, { recursive: true });
  const stages = last === 'rl' ? ['rl'] : [...tasksStages, 'trajectories', 'sft'];
  await runStages(arm, settingsOf(seed, settings), stages);
  const test = join(folder, `${name}-test`);
  if (!existsSync(test)) cpSync(join(folder, 'shared'), test, { recursive: true });
  const measured = {
    model: { from: join(arm, last, 'model') },
    evaluation: { checkpoints: ['base'], temperature: 0 },
  };
  await runStages(test, settingsOf(seed, measured), ['evaluation']);
  const rows = readFileSync(join(test, 'evaluation', 'base.jsonl'), 'utf8')
    .trim()
    .split('\n');
  console.error(`seed ${seed}: ${name} done`);
  return rows.map((row) => JSON.parse(row) as EvaluatedTask);
}

const scores = new Map<string, EvaluatedTask[]>();
const names = flags.arms.split(',');
for (const seed of seeds) {
  const shared = join(root, flags.folder, `seed-${seed}`, 'shared');
  await runStages(shared, settingsOf(seed, {}), [...tasksStages, 'trajectories']);
  const arm = async (name: string) => scores.set(`${name} ${seed}`, await runArm(seed, name));
  const waves = [
    names.filter((name) => !arms[name]?.from),
    names.filter((name) => arms[name]?.from),
  ];
  for (const wave of waves) {
    const queue = [...wave];
    const work = async (): Promise<void> => {
      for (let name = queue.shift(); name !== undefined; name = queue.shift()) await arm(name);
    };
    await Promise.all(Array.from({ length: Number(flags.jobs) }, work));
  }
}

for (const { name, before, after, groups } of comparisons) {
  if (!names.includes(before) || !names.includes(after)) continue;
  const rowsOf = (arm: string, chosen: readonly number[]) =>
    chosen.flatMap((seed) => scores.get(`${arm} ${seed}`) ?? []);
  const difference = (chosen: readonly number[]) =>
    compareEvaluations(rowsOf(before, chosen), rowsOf(after, chosen), {
      seed: 1,
      resamples: 2000,
      groups,
    });
  const mean = (arm: string) => {
    const rows = rowsOf(arm, seeds).filter(({ group }) => groups.includes(group));
    return rows.reduce((sum, row) => sum + row.outcome, 0) / rows.length;
  };
  const perSeed = seeds.map((seed) => difference([seed]).mean);
  console.log(
    JSON.stringify({
      case: name,
      groups,
      before: mean(before),
      after: mean(after),
      ...difference(seeds),
      perSeed,
      seeds,
    }),
  );
}
