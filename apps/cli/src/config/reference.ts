// The configuration reference (docs/configuration.md), written from the schema.
import { leavesOf, type Leaf } from './leaves.ts';
import { runConfigSchema, SECTION_NAMES, sectionSchema } from './run-config.ts';

const INTRODUCTION = `# Configuration

A run is described by one YAML file, \`runs/configs/*.yaml\`. Every key has a default, so a file holds only what differs.
Every key is also a flag: \`--rl.steps 100\` for \`masksearch run\`, and without the section, \`--steps 100\`, for
\`masksearch rl\`. Unknown keys are errors. \`masksearch run --print-config\` prints what a file and flags resolve to,
\`--print-schema\` a JSON Schema for editors. This page is written from the schema.

Paths start at the file that names them, and at the working folder where a flag does: \`corpus.input\`, \`search.record\` and
\`search.replay\`, \`synthesis.evaluationFiles\`, and folders of models. A model folder that is not there is looked for among what comes
with \`masksearch\`: \`models/base\`. \`--config\` finds \`runs/configs/*.yaml\` there too. A run folder remembers them as absolute paths.
`;

/** Markdown: one list per section, one entry per key. */
export function configurationReference(): string {
  const general = (['name', 'seed'] as const).map((key) =>
    entry(key, leavesOf(runConfigSchema.shape[key])[0]),
  );
  const sections = SECTION_NAMES.map((name) => {
    const schema = sectionSchema(name);
    const entries = leavesOf(schema).map((leaf) => entry(`${name}.${leaf.path}`, leaf));
    return `## ${name}\n\n${capitalised(schema.meta()?.description ?? name)}.\n\n${entries.join('\n')}\n`;
  });
  return `${INTRODUCTION}\n## General\n\n${general.join('\n')}\n\n${sections.join('\n')}`;
}

function entry(key: string, leaf: Leaf | undefined): string {
  if (leaf === undefined) return `- \`${key}\``;
  const kind = [leaf.type.replaceAll('|', ' or '), leaf.range]
    .filter((part) => part !== '')
    .join(' ');
  const facts = [
    kind,
    leaf.unit === undefined ? '' : `in ${leaf.unit}`,
    `default \`${JSON.stringify(leaf.defaultValue)}\``,
    leaf.source ?? '',
  ].filter((fact) => fact !== '');
  return `- \`${key}\`: ${leaf.about} (${facts.join('; ')})`;
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
