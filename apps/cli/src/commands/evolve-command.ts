// `masksearch evolve`: self-evolving rounds in a run folder whose tasks are made.
import { Command } from 'commander';
import { addSharedOptions, resolveRun, type SharedOptions } from './settings.ts';
import { sectionFlags } from './stage-command.ts';
import { workInRun } from './work-in-run.ts';

export function evolveCommand(signal: AbortSignal): Command {
  const flags = sectionFlags([
    'evolve',
    'trajectories',
    'synthesis',
    'sft',
    'model',
    'episode',
    'search',
    'evaluation',
    'reward',
  ]);
  const command = addSharedOptions(
    new Command('evolve').description(
      'self-evolving rounds: SFT, trajectories by the student on fresh tasks, judge, merge, SFT again',
    ),
  ).addHelpText(
    'after',
    `
The tasks of the run are divided among the rounds. What was cut off continues; what is done is skipped.

Examples:
  $ masksearch evolve --run runs/wiki --rounds 2
  $ masksearch evolve --run runs/wiki --trajectories.teacher models --synthesis.roles.judge judge`,
  );
  for (const { option } of flags) command.addOption(option);
  return command.action(async (options: SharedOptions & Record<string, unknown>) => {
    const resolved = resolveRun(options, flags, signal);
    if (resolved === undefined) return;
    const { run, config } = resolved;
    const { evolve } = await import('../evolve/evolve.ts');
    const { roundTable } = await import('../evolve/round-table.ts');
    const rounds = await workInRun(resolved, () => evolve(run, config));
    process.stdout.write(options.json ? `${JSON.stringify(rounds)}\n` : roundTable(rounds));
  });
}
