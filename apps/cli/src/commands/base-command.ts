// `masksearch base`: trains a base model with the stages up to sft, and exports it for other runs to start from.
import { resolve } from 'node:path';
import { Command } from 'commander';
import { flagsOf } from '../config/flags.ts';
import { runConfigSchema } from '../config/run-config.ts';
import { withRunLock } from '../run/lock.ts';
import { exportBase } from '../stages/base.ts';
import { addSharedOptions, resolveRun, type SharedOptions } from './settings.ts';

export function baseCommand(signal: AbortSignal): Command {
  const flags = flagsOf('seed', runConfigSchema.shape.seed, false);
  const command = addSharedOptions(
    new Command('base').description('train a small base model and export it for other runs'),
    'runs/configs/base.yaml',
  )
    .option('--output <folder>', 'where the model is put', 'models/base')
    .addHelpText('after', '\nExamples:\n  $ masksearch base --output models/base');
  for (const { option } of flags) command.addOption(option);
  return command.action(
    async (options: SharedOptions & { output: string } & Record<string, unknown>) => {
      const resolved = resolveRun(options, flags, signal);
      if (resolved === undefined) return;
      const { run, config } = resolved;
      const output = resolve(options.output);
      const outcome = await withRunLock(run.folder, () => exportBase(run, config, output));
      if (options.json) process.stdout.write(`${JSON.stringify(outcome)}\n`);
    },
  );
}
