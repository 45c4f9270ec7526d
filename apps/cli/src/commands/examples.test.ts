// Every example that help and documentation show is a command that exists, with flags that it has.
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { expect, test } from 'vitest';
import { STAGES } from '../stages/registry.ts';
import { buildProgram } from './program.ts';

const program = buildProgram(new AbortController().signal);
const commands = [program, ...program.commands];
const examples = commands.flatMap((command) =>
  [...helpOf(command).matchAll(/^ {2}\$ masksearch (.*)$/gm)].map(([, example = '']) => example),
);

function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (part) => (text += part) }).outputHelp();
  return text;
}

test('every command shows one at least', () => {
  const shown = new Set(examples.map((example) => example.split(' ')[0]));
  expect([...shown]).toEqual(
    expect.arrayContaining(program.commands.map((command) => command.name())),
  );
  expect([...shown]).toEqual(expect.arrayContaining(STAGES.map(({ name }) => name)));
});

const ROOT = join(import.meta.dirname, '../../../..');
const ROOT_PAGES = globSync(['README.md', 'CONTRIBUTING.md', 'docs/*.md'], { cwd: ROOT });
const PAGES = [...ROOT_PAGES, ...globSync('{apps,packages,native}/*/README.md', { cwd: ROOT })];
const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  scripts: Readonly<Record<string, string>>;
};

/** Lines of shell blocks and code within sentences, without comments. */
function commandsOf(page: string): string[] {
  const text = readFileSync(join(ROOT, page), 'utf8');
  const blocks = [...text.matchAll(/^```sh\n([^]*?)^```/gm)].flatMap(([, block = '']) =>
    block.split('\n'),
  );
  const inline = [...text.replaceAll(/^```[^]*?^```/gm, '').matchAll(/`([^`\n]+)`/g)];
  return [...blocks, ...inline.map(([, code = '']) => code)].flatMap((line) =>
    (line.split(/\s#\s/)[0] ?? '').split(/&&|\|/).map((part) => part.trim()),
  );
}

/** `masksearch …` of a command line that starts it, by its name or by a script of the workspace. */
function asMasksearch(command: string): string | undefined {
  const [, script = '', rest = ''] =
    /^(?:npm run|pnpm)\s+(\S+)\s*(?:--\s+)?(.*)$/.exec(command) ?? [];
  const runs = /apps\/cli\/src\/main\.ts ?(.*)$/.exec(scripts[script] ?? '');
  if (runs !== null) return [runs[1], rest].filter((part) => part !== '').join(' ');
  return /^(?:srun |npx )?masksearch (.*)$/.exec(command)?.[1];
}

const documented = new Set(
  PAGES.flatMap(commandsOf)
    .map(asMasksearch)
    .filter((example) => example !== undefined)
    .filter((example) => !/^(<|…|--help)/.test(example)),
);

test('scripts that documentation names are there', () => {
  const named = ROOT_PAGES.flatMap(commandsOf).flatMap(
    (line) => /^npm run ([\w:]+)/.exec(line)?.[1] ?? [],
  );
  expect(named.length).toBeGreaterThan(5);
  for (const name of named) expect(Object.keys(scripts)).toContain(name);
});

test.each([...new Set([...examples, ...documented])])('%s', (example) => {
  const [name = '', ...args] = example.split(' ');
  const command = program.commands.find((each) => each.name() === name);
  expect(command, name).toBeDefined();
  const flags = args.filter((arg) => arg.startsWith('--')).map((flag) => flag.split('=')[0]);
  const known = ['--help', ...(command?.options ?? []).map(({ long }) => long)];
  for (const flag of flags) expect(known, flag).toContain(flag);
});
