// `masksearch synthesize`: the trajectories stage with language models as teachers; `masksearch worker` joins it.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { InputError } from '@masksearch/core';
import { Command } from 'commander';
import { stringify } from 'yaml';
import { stageFolder } from '../run/run-folder.ts';
import { addSharedOptions, resolveRun, type SharedOptions } from './settings.ts';
import { sectionFlags } from './stage-command.ts';
import { workInRun } from './work-in-run.ts';

export function synthesizeCommand(signal: AbortSignal): Command {
  const flags = sectionFlags(['synthesis', 'episode', 'search']);
  const command = addSharedOptions(
    new Command('synthesize').description(
      'make the trajectories with language models: planner, rewriter, observer, judge',
    ),
  ).addHelpText(
    'after',
    `
The endpoints stand in the configuration file; keys come from the environment variables it names.

Examples:
  $ masksearch synthesize --run runs/wiki --roles.observer main --roles.judge judge
  $ masksearch synthesize --run runs/wiki --processes 4 --capUsd 20
  $ masksearch worker --run runs/wiki      on every further machine, with synthesis.redis set`,
  );
  for (const { option } of flags) command.addOption(option);
  return command.action(async (options: SharedOptions & Record<string, unknown>) => {
    const resolved = resolveRun(options, flags, signal);
    if (resolved === undefined) return;
    const { run } = resolved;
    // Remembered, so that a later `masksearch run` does not make them again with the oracle.
    const trajectories = { ...resolved.config.trajectories, teacher: 'models' as const };
    const config = { ...resolved.config, trajectories };
    run.say(stringify({ seed: config.seed, synthesis: config.synthesis }).trimEnd());
    const { synthesisStage } = await import('../stages/synthesis.ts');
    const outcome = await workInRun({ run, config }, () => synthesisStage(run, config));
    if (options.json) process.stdout.write(`${JSON.stringify(outcome)}\n`);
  });
}

export function workerCommand(signal: AbortSignal): Command {
  return new Command('worker')
    .description(
      'take part in the synthesis that `masksearch synthesize` has begun in a run folder',
    )
    .requiredOption('--run <folder>', 'run folder')
    .addHelpText('after', '\nExamples:\n  $ masksearch worker --run runs/wiki')
    .action(async (options: { run: string }) => {
      const resolved = resolveRun(options, [], signal);
      if (resolved === undefined) return;
      const { run, config } = resolved;
      const folder = `${stageFolder(run, 'trajectories')}.work`;
      if (!existsSync(join(folder, 'key'))) {
        throw new InputError(
          `${folder}: expected a synthesis that has begun, found none; run \`masksearch synthesize --run ${options.run}\` first.`,
        );
      }
      const { openQueue, workOnSynthesis } = await import('../synthesis/synthesis-work.ts');
      const job = { run, config, folder };
      const queue = await openQueue(job);
      try {
        const { calls, cached, usd } = await workOnSynthesis(job, queue);
        run.say(`worker: ${calls} calls, ${cached} from the cache, $${usd.toFixed(4)}`);
      } finally {
        await queue.close();
      }
    });
}
