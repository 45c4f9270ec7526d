// The prompts of one language: fixed texts and section headings. Texts of a task are put between headings, never into a
// template, so nothing in them can pass for a placeholder.
import { createHash } from 'node:crypto';

export const ROLES = ['planner', 'rewriter', 'observer', 'judge'] as const;
export type Role = (typeof ROLES)[number];

/** Headings of what a role is shown. */
export type Heading =
  'task' | 'transcript' | 'thought' | 'need' | 'asked' | 'question' | 'gold' | 'answer' | 'note';

export interface Prompts {
  readonly language: string;
  /** Changes with every change of a text. */
  readonly version: string;
  readonly system: Readonly<Record<Role, string>>;
  readonly headings: Readonly<Record<Heading, string>>;
  readonly lastTurn: string;
  readonly noMoreReflection: string;
  /** What was wrong with an answer, and that the JSON is wanted again. */
  readonly repair: (problem: string) => string;
}

/** sha256 of everything that a role is told in this language, whatever the task. */
export function promptHash(prompts: Prompts, role: Role): string {
  const { version, language, system, headings, lastTurn, noMoreReflection, repair } = prompts;
  const texts = [version, language, role, system[role], headings, lastTurn, noMoreReflection];
  return createHash('sha256')
    .update(JSON.stringify([...texts, repair('')]))
    .digest('hex');
}

/** The sections of a message, each under its heading. */
export function renderSections(
  prompts: Prompts,
  sections: readonly (readonly [Heading, string])[],
): string {
  return sections.map(([heading, text]) => `# ${prompts.headings[heading]}\n${text}`).join('\n\n');
}
