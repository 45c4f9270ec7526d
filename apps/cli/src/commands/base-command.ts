// `masksearch base`: trains a base model and puts it where other runs can start from it.
import { resolve } from 'node:path';
import { Command } from 'commander';
import { addSharedOptions, resolveRun, type SharedOptions } from './settings.ts';
import { sectionFlags } from './stage-command.ts';
import { workInRun } from './work-in-run.ts';

export function baseCommand(signal: AbortSignal): Command {
  const flags = sectionFlags(['base', 'model', 'corpus', 'tokenizer']);
  const command = addSharedOptions(
    new Command('base').description('train a small base model and export it for other runs'),
    'base',
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
      const { exportBase } = await import('../stages/base.ts');
      const outcome = await workInRun(resolved, () => exportBase(run, config, output));
      if (options.json) process.stdout.write(`${JSON.stringify(outcome)}\n`);
    },
  );
}
