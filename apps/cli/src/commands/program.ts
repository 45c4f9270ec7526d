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
  program.addCommand(quickstartCommand(signal));
  program.addCommand(runCommand(signal));
  for (const stage of STAGES) program.addCommand(stageCommand(stage, signal));
  program.addCommand(synthesizeCommand(signal));
  program.addCommand(workerCommand(signal));
  program.addCommand(evolveCommand(signal));
  program.addCommand(exportCommand(signal));
  program.addCommand(baseCommand(signal));
  program.addCommand(serveCommand(signal));
  program.addCommand(retrieveServerCommand(signal));
  program.addCommand(exportGgufCommand());
  program.addCommand(doctorCommand());
  program.addCommand(planCommand());
  for (const command of [program, ...program.commands]) command.exitOverride();
  return program;
}

function version(): string {
  const path = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}
