// `masksearch <stage>`: one command per stage, its flags made from the configuration schema.
import { Command } from 'commander';
import { stringify } from 'yaml';
import { cassetteFlags, flagsOf, modelFlags, type Flag } from '../config/flags.ts';
import { runConfigSchema, sectionSchema, type SectionName } from '../config/run-config.ts';
import type { Stage } from '../stages/registry.ts';
import { addSharedOptions, resolveRun, type SharedOptions } from './settings.ts';
import { workInRun } from './work-in-run.ts';

export function stageCommand(stage: Stage, signal: AbortSignal): Command {
  const flags = sectionFlags(stage.sections);
  const command = addSharedOptions(new Command(stage.name).description(stage.summary));
  for (const { option } of flags) command.addOption(option);
  const examples = stage.examples.map((example) => `  $ ${example}`).join('\n');
  command.addHelpText('after', `\nExamples:\n${examples}`);
  return command.action(async (options: SharedOptions & Record<string, unknown>) => {
    const resolved = resolveRun(options, flags, signal);
    if (resolved === undefined) return;
    const { run, config } = resolved;
    const used = Object.fromEntries(stage.sections.map((name) => [name, config[name]]));
    run.say(stringify({ seed: config.seed, ...used }).trimEnd());
    const work = await stage.load();
    const outcome = await workInRun(resolved, () => work(run, config));
    if (options.json) process.stdout.write(`${JSON.stringify(outcome)}\n`);
  });
}

/** The seed, the command's own keys without prefix (those of the first section), the others with theirs. */
export function sectionFlags(sections: readonly SectionName[]): Flag[] {
  return [
    ...flagsOf('seed', runConfigSchema.shape.seed, false),
    ...sections.flatMap((name, index) => flagsOf(name, sectionSchema(name), index === 0)),
    ...(sections.includes('search') ? cassetteFlags() : []),
    ...(sections.includes('model') ? modelFlags() : []),
  ];
}
