// The arms of the paper's experiments in small, and what is compared with what.

const RAMP = ['k1', 'k2', 'k3', 'k4'];
const QUESTIONS = ['hop1', 'hop2', 'comparison'];
/** SFT steps of the arms that compare kinds of SFT: equal compute. The others are the quickstart itself. */
const STEPS = 120;

/** One training, described by what differs from the quickstart. */
export interface Arm {
  /** Settings in the shape of a config file. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Its weights after this stage are measured. */
  readonly last: 'sft' | 'rl';
  /** An arm that this one goes on from, whose finished stages it takes over. */
  readonly from?: string;
}

const phases = (...list: readonly (readonly [groups: readonly string[], steps: number])[]) => ({
  sft: { phases: list.map(([groups, steps], i) => ({ name: `${i + 1}`, groups, steps })) },
});

export const arms: Readonly<Record<string, Arm>> = {
  'ramp-then-qa': { settings: phases([RAMP, STEPS / 2], [QUESTIONS, STEPS / 2]), last: 'sft' },
  'qa-alone': { settings: phases([QUESTIONS, STEPS]), last: 'sft' },
  'random-spans-then-qa': {
    settings: {
      ...phases([RAMP, STEPS / 2], [QUESTIONS, STEPS / 2]),
      tasks: { spans: 'random' },
    },
    last: 'sft',
  },
  curriculum: {
    settings: phases(
      [['k1'], STEPS / 4],
      [['k1', 'k2'], STEPS / 4],
      [['k1', 'k2', 'k3'], STEPS / 4],
      [RAMP, STEPS / 4],
    ),
    last: 'sft',
  },
  mixed: { settings: phases([RAMP, STEPS]), last: 'sft' },
  main: { settings: {}, last: 'sft' },
  dapo: { settings: {}, last: 'rl', from: 'main' },
  grpo: { settings: { rl: { recipe: 'grpo' } }, last: 'rl', from: 'main' },
};

export interface Comparison {
  readonly name: string;
  readonly before: string;
  readonly after: string;
  /** Groups whose outcome is compared. */
  readonly groups: readonly string[];
}

export const comparisons: readonly Comparison[] = [
  {
    name: 'RAMP then QA, against QA alone',
    before: 'qa-alone',
    after: 'ramp-then-qa',
    groups: QUESTIONS,
  },
  {
    name: 'the same, out of domain',
    before: 'qa-alone',
    after: 'ramp-then-qa',
    groups: ['hop3', 'list'],
  },
  { name: 'curriculum, against mixed', before: 'mixed', after: 'curriculum', groups: RAMP },
  {
    name: 'salient spans, against random spans',
    before: 'random-spans-then-qa',
    after: 'ramp-then-qa',
    groups: QUESTIONS,
  },
  {
    name: 'the same, on RAMP tasks',
    before: 'random-spans-then-qa',
    after: 'ramp-then-qa',
    groups: RAMP,
  },
  { name: 'DAPO, against SFT', before: 'main', after: 'dapo', groups: [...RAMP, 'hop2'] },
  { name: 'GRPO, against SFT', before: 'main', after: 'grpo', groups: [...RAMP, 'hop2'] },
  { name: 'DAPO, against GRPO', before: 'grpo', after: 'dapo', groups: [...RAMP, 'hop2'] },
];
