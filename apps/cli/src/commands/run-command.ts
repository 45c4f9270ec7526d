// `masksearch run` and `masksearch quickstart`: all stages of one configuration, in order.
import { Command } from 'commander';
import { cassetteFlags, flagsOf, modelFlags, type Flag } from '../config/flags.ts';
import { runConfigSchema, sectionSchema, SECTION_NAMES } from '../config/run-config.ts';
import { runAllStages } from '../stages/run-all.ts';
import { addSharedOptions, resolveRun, type SharedOptions } from './settings.ts';
import { workInRun } from './work-in-run.ts';

export function runCommand(signal: AbortSignal): Command {
  const command = addSharedOptions(
    new Command('run').description(
      'run every stage of a configuration; what is up to date is skipped',
    ),
  ).addHelpText(
    'after',
    '\nExamples:\n  $ masksearch run --config runs/configs/enwiki.yaml --corpus.input enwiki.xml.bz2',
  );
  return withAction(command, signal);
}

export function quickstartCommand(signal: AbortSignal): Command {
  const command = addSharedOptions(
    new Command('quickstart').description(
      'from nothing to a trained search agent: all stages on a generated world',
    ),
    'quickstart',
  ).addHelpText(
    'after',
    '\nDefaults are those of a key that the file does not set; --print-config shows all values.' +
      '\n\nExamples:\n  $ masksearch quickstart\n  $ masksearch quickstart --seed 2 --run runs/seed-2',
  );
  return withAction(command, signal);
}

function withAction(command: Command, signal: AbortSignal): Command {
  const flags = runFlags();
  for (const { option } of flags) command.addOption(option);
  return command.action(async (options: SharedOptions & Record<string, unknown>) => {
    const resolved = resolveRun(options, flags, signal);
    if (resolved === undefined) return;
    const { run, config } = resolved;
    const outcomes = await workInRun(resolved, () => runAllStages(run, config));
    if (options.json) process.stdout.write(`${JSON.stringify(outcomes)}\n`);
  });
}

function runFlags(): Flag[] {
  return [
    ...flagsOf('name', runConfigSchema.shape.name, false),
    ...flagsOf('seed', runConfigSchema.shape.seed, false),
    ...SECTION_NAMES.flatMap((name) => flagsOf(name, sectionSchema(name), false)),
    ...cassetteFlags(),
    ...modelFlags(),
  ];
}
