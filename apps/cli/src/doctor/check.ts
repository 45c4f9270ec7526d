// One row of the doctor's report, and the probes that rows are made of.
import { spawnSync } from 'node:child_process';

export interface Check {
  readonly name: string;
  /** `missing` makes the doctor fail when the check is required. */
  readonly state: 'ok' | 'missing';
  readonly required: boolean;
  /** What was found, or why it is missing. */
  readonly detail: string;
  /** What to do when it is missing. */
  readonly fix?: string;
}

/** First line that a command prints, or undefined when it cannot be run. */
export function firstLineOf(command: string, ...args: string[]): string | undefined {
  const result = spawnSync(command, args, { encoding: 'utf8', timeout: 10_000 });
  if (result.status !== 0) return undefined;
  return `${result.stdout}${result.stderr}`.trim().split('\n')[0] ?? '';
}

/** A check for a command-line tool. */
export function checkTool(tool: {
  name: string;
  required: boolean;
  /** Tried in order. */
  commands: readonly (readonly [string, ...string[]])[];
  fix: string;
}): Check {
  for (const [command, ...args] of tool.commands) {
    const line = firstLineOf(command, ...args);
    if (line !== undefined)
      return { name: tool.name, required: tool.required, state: 'ok', detail: line };
  }
  const tried = tool.commands.map(([command]) => command).join(', ');
  return {
    name: tool.name,
    required: tool.required,
    state: 'missing',
    detail: `none of ${tried} runs`,
    fix: tool.fix,
  };
}
