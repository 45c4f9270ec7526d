#!/usr/bin/env node
// The `masksearch` command: parses arguments, runs stages, turns every failure into one message and an exit code.
import { enableCompileCache } from 'node:module';
import { reportFailure } from './commands/failure.ts';
import { buildProgram } from './commands/program.ts';

// A reader that has seen enough (`masksearch --help | head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 1);
});

// What a command loads is compiled once, not in every process: halves the start of a worker.
enableCompileCache();

const interrupt = new AbortController();
let interrupts = 0;
const onSignal = (signal: NodeJS.Signals): void => {
  interrupts++;
  // The second Ctrl-C does not wait for anything to be saved.
  if (interrupts > 1) process.exit(130);
  process.stderr.write(`\n${signal}: ending in good order; once more to leave at once\n`);
  interrupt.abort(new Error(signal));
};
process.on('SIGINT', onSignal);
process.on('SIGTERM', onSignal);

try {
  await buildProgram(interrupt.signal).parseAsync();
} catch (error) {
  process.exitCode = reportFailure(error, {
    json: process.argv.includes('--json'),
    signal: interrupt.signal,
  });
}
