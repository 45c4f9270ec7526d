// `masksearch doctor`
import { Command } from 'commander';

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('report what this machine has and lacks, with the fix for each')
    .option('--json', 'print the report as JSON')
    .addHelpText('after', '\nExamples:\n  $ masksearch doctor\n  $ masksearch doctor --json')
    .action(async (options: { json?: boolean }) => {
      const { examine, formatChecks, isHealthy } = await import('../doctor/doctor.ts');
      const checks = await examine();
      const healthy = isHealthy(checks);
      const text = options.json
        ? JSON.stringify({ healthy, checks }, null, 2)
        : formatChecks(checks, process.stdout);
      process.stdout.write(`${text}\n`);
      process.exitCode = healthy ? 0 : 1;
    });
}
