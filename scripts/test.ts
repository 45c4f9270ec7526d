// Runs every suite of the repository (vitest and ctest) and ends with the counts alone on a line.
//
//   npm test                      everything
//   npm test -- packages/ramp     only test files whose path contains the words given
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { startVitest, type TestModule } from 'vitest/node';

interface Counts {
  passed: number;
  failed: number;
  /** Full name of each skipped test, with its reason where one was given. */
  readonly skipped: string[];
}

const root = join(import.meta.dirname, '..');

async function runVitest(filters: string[], counts: Counts): Promise<void> {
  const vitest = await startVitest('test', filters, { root, watch: false });
  for (const module of vitest.state.getTestModules()) countModule(module, counts);
  const unhandled = vitest.state.getUnhandledErrors().length;
  if (unhandled > 0)
    console.error(`${unhandled} errors outside of any test; each counts as failed.`);
  counts.failed += unhandled;
  await vitest.close();
}

function countModule(module: TestModule, counts: Counts): void {
  let tests = 0;
  for (const test of module.children.allTests()) {
    tests++;
    const result = test.result();
    if (result.state === 'passed') counts.passed++;
    else if (result.state === 'skipped') {
      const reason = result.note === undefined ? '' : ` (${result.note})`;
      counts.skipped.push(
        `${module.project.name} ${module.relativeModuleId} > ${test.fullName}${reason}`,
      );
    } else counts.failed++;
  }
  // A file that could not be loaded holds no tests; it must not pass for that.
  const brokenSuites = [...module.children.allSuites()].filter(
    (suite) => suite.errors().length > 0,
  );
  counts.failed += brokenSuites.length + (module.errors().length > 0 || tests === 0 ? 1 : 0);
}

/** Builds the C++ tests of a native package apart from its addon, and runs them. */
function runCtest(folder: string, counts: Counts): void {
  const lists = join(folder, 'CMakeLists.txt');
  if (!existsSync(lists) || !readFileSync(lists, 'utf8').includes('enable_testing')) return;
  const build = join(folder, 'build', 'tests');
  const report = join(build, 'ctest.xml');
  rmSync(report, { force: true });
  console.log(`\nC++ tests of ${relative(root, folder)}`);
  const run = (command: string, ...args: string[]): number | null =>
    spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] }).status;
  const isBuilt =
    run('cmake', '-S', folder, '-B', build, '--log-level=WARNING') === 0 &&
    run('cmake', '--build', build, '--parallel', String(availableParallelism())) === 0;
  const status = isBuilt
    ? run('ctest', '--test-dir', build, '--output-on-failure', '--output-junit', report)
    : 1;
  if (!existsSync(report)) {
    console.error(`${relative(root, folder)}: its C++ tests could not be built; one failure.`);
    counts.failed++;
    return;
  }
  const cases = readFileSync(report, 'utf8').matchAll(
    /<testcase name="([^"]*)"[^>]* status="([^"]*)"/g,
  );
  let failed = 0;
  for (const [, name = '', state = ''] of cases) {
    if (state === 'run') counts.passed++;
    else if (state === 'disabled') counts.skipped.push(`ctest > ${name}`);
    else failed++;
  }
  counts.failed += failed === 0 && status !== 0 ? 1 : failed;
}

const filters = process.argv.slice(2);
const counts: Counts = { passed: 0, failed: 0, skipped: [] };
await runVitest(filters, counts);
if (filters.length === 0) {
  for (const name of readdirSync(join(root, 'native')).sort())
    runCtest(join(root, 'native', name), counts);
}
if (counts.skipped.length > 0) {
  console.log(`\nSkipped:\n${counts.skipped.map((name) => `  ${name}`).join('\n')}\n`);
}
const skipped = counts.skipped.length > 0 ? `, ${counts.skipped.length} skipped` : '';
console.log(`${counts.passed} passed, ${counts.failed} failed${skipped}`);
process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0;
