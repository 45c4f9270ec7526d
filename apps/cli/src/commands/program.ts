// The command line as a tree of commands; says what exists, does no work.
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { STAGES } from '../stages/registry.ts';
import { baseCommand } from './base-command.ts';
import { doctorCommand } from './doctor-command.ts';
import { evolveCommand } from './evolve-command.ts';
import { exportCommand } from './export-command.ts';
import { exportGgufCommand } from './export-gguf-command.ts';
import { retrieveServerCommand } from './retrieve-server-command.ts';
import { planCommand } from './plan-command.ts';
import { quickstartCommand, runCommand } from './run-command.ts';
import { serveCommand } from './serve-command.ts';
import { stageCommand } from './stage-command.ts';
import { synthesizeCommand, workerCommand } from './synthesize-command.ts';

/** @param signal Fires on Ctrl-C. */
export function buildProgram(signal: AbortSignal): Command {
  const program = new Command('masksearch')
    .description('Trains search agents by retrieval-augmented mask prediction.')
    .version(version())
    .showHelpAfterError('(--help lists what there is)')
    .addHelpText(
      'after',
      `
Examples:
  $ masksearch quickstart                                   everything, on a generated world
  $ masksearch run --config runs/configs/enwiki.yaml        every stage of a configuration
  $ masksearch sft --run runs/quickstart --learningRate 5e-4   one stage again, with one change
  $ masksearch doctor                                       what this machine has and lacks`,
    );
  const groups: Readonly<Record<string, readonly Command[]>> = {
    'All stages:': [quickstartCommand(signal), runCommand(signal)],
    'One stage, in the order of a run:': STAGES.map((stage) => stageCommand(stage, signal)),
    'Language models as teachers:': [
      synthesizeCommand(signal),
      workerCommand(signal),
      evolveCommand(signal),
    ],
    'Models and data for others:': [
      serveCommand(signal),
      retrieveServerCommand(signal),
      exportCommand(signal),
      exportGgufCommand(),
      baseCommand(signal),
    ],
    'Before a run:': [doctorCommand(), planCommand()],
  };
  for (const [heading, commands] of Object.entries(groups)) {
    for (const command of commands) program.addCommand(command.helpGroup(heading));
  }
  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureHelp({ minWidthToWrap: 30 });
  }
  return program;
}

function version(): string {
  const path = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}
