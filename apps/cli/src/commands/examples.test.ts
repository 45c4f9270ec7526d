// Every example that help shows is a command that exists, with flags that it has.
import { expect, test } from 'vitest';
import { STAGES } from '../stages/registry.ts';
import { buildProgram } from './program.ts';

const program = buildProgram(new AbortController().signal);
const examples = STAGES.flatMap((stage) => stage.examples);

test.each(examples)('%s', (example) => {
  const [, name = '', ...args] = example.split(' ');
  const command = program.commands.find((each) => each.name() === name);
  expect(command, name).toBeDefined();
  const flags = args.filter((arg) => arg.startsWith('--'));
  const known = command?.options.map(({ long }) => long);
  for (const flag of flags) expect(known, flag).toContain(flag);
});
