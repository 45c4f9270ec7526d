// Every example that help shows is a command that exists, with flags that it has.
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

test.each(examples)('%s', (example) => {
  const [name = '', ...args] = example.split(' ');
  const command = program.commands.find((each) => each.name() === name);
  expect(command, name).toBeDefined();
  const flags = args.filter((arg) => arg.startsWith('--'));
  const known = command?.options.map(({ long }) => long);
  for (const flag of flags) expect(known, flag).toContain(flag);
});
