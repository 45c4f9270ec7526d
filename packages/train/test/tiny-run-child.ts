// A process that does a tiny run and says so after every step, to be killed: node tiny-run-child.ts sft FOLDER STEPS
import { tinyDapo, tinySft } from './tiny-runs.ts';

const [kind, folder, steps] = process.argv.slice(2);
if (!folder || !steps) throw new Error('expected: tiny-run-child.ts sft|dapo FOLDER STEPS');
await (kind === 'sft' ? tinySft : tinyDapo)(folder, Number(steps), () => {
  process.stdout.write('.');
});
