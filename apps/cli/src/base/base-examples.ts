// What the base model is trained on: plain passages, exercises on passages, worksheets of numbered lines, and
// random sequences that repeat themselves. No searches, no episodes.
import { joinSlots, renderDocument } from '@masksearch/agent';
import { MASK_MARKER, RandomStream, type Passage } from '@masksearch/core';
import { encodeMarked, type Tokenizer } from '@masksearch/tokenizer';
import type { ExampleGenerator, TrainingExample } from '@masksearch/train';
import { copyingExamples } from './copying-examples.ts';
import { exercisesOn, gapExercise, type Exercise } from './exercises.ts';
import { factLibrary, type FactLibrary, type Sentence } from './fact-library.ts';
import { fillStep } from './fill-step.ts';

export interface BaseExampleOptions {
  readonly seed: number;
  readonly tokenizer: Tokenizer;
  readonly batchTokens: number;
  /** Longest passage of a context, words. */
  readonly passageWords: number;
  /** Most passages that are read together. */
  readonly maxPassages: number;
  /** Every so-manyth step is a copying step; 0 = none. */
  readonly copyEvery: number;
  /** Of so many first steps every other is a copying step. */
  readonly copyFirst: number;
  /** Share of examples that are plain text: passages that are linked. */
  readonly articleShare: number;
  /** Share of examples that are worksheets; the rest are exercises. */
  readonly worksheetShare: number;
  /** Exercises on the same passages, at most. */
  readonly maxExercises: number;
}

/** Steps that take their text from one world. */
const STEPS_PER_WORLD = 8;
/** Lines of a worksheet. */
const MAX_LINES = 4;

/** Examples of a step; they depend on the options and the step only. */
export function baseExamples(options: BaseExampleOptions): ExampleGenerator {
  const { seed, batchTokens, copyEvery, copyFirst, tokenizer, passageWords } = options;
  let world: { number: number; library: FactLibrary } | undefined;
  return (step) => {
    const random = new RandomStream(seed, 'base', step);
    const every = step < copyFirst ? 2 : copyEvery;
    if (every > 0 && step % every === 0) {
      return copyingExamples(random, tokenizer, batchTokens);
    }
    const number = Math.floor(step / STEPS_PER_WORLD);
    if (world?.number !== number) {
      const worldSeed = new RandomStream(seed, 'base-world', number).uint32();
      world = { number, library: factLibrary(worldSeed, passageWords) };
    }
    const { library } = world;
    return fillStep(batchTokens, () => example(library, random, options));
  };
}

interface Piece {
  readonly text: string;
  /** Its tokens carry loss. */
  readonly isLabel: boolean;
}

const shown = (text: string): Piece => ({ text, isLabel: false });
const wanted = (text: string): Piece => ({ text, isLabel: true });

function example(
  library: FactLibrary,
  random: RandomStream,
  options: BaseExampleOptions,
): TrainingExample {
  const draw = random.uniform();
  const { articleShare, worksheetShare, tokenizer } = options;
  const make =
    draw < articleShare
      ? articlePieces
      : draw < articleShare + worksheetShare
        ? worksheetPieces
        : exercisePieces;
  return encodePieces(make(library, random, options), tokenizer);
}

function encodePieces(pieces: readonly Piece[], tokenizer: Tokenizer): TrainingExample {
  const ids: number[] = [];
  const mask: number[] = [];
  for (const { text, isLabel } of pieces) {
    const tokens = encodeMarked(tokenizer, text, [MASK_MARKER]);
    ids.push(...tokens);
    mask.push(...Array.from(tokens, () => (isLabel ? 1 : 0)));
  }
  mask[0] = 0;
  return { ids, mask };
}

/** Passages, then one that is linked to them; all of it is to be predicted. */
function articlePieces(
  library: FactLibrary,
  random: RandomStream,
  options: BaseExampleOptions,
): Piece[] {
  const last = random.pick(library.passages);
  const before = withDistractors([], last, library, random, options);
  return [wanted(render([...before, last]))];
}

/** Passages and exercises on them, or one exercise, the passages and its answer. Answers are to be predicted. */
function exercisePieces(
  library: FactLibrary,
  random: RandomStream,
  options: BaseExampleOptions,
): Piece[] {
  const first = random.pick(library.passages);
  const passages = withDistractors([first], first, library, random, options);
  const exercises = exercisesOn(passages, library, random).slice(0, options.maxExercises);
  const context = shown(render(passages));
  const [only] = exercises;
  if (only !== undefined && random.uniform() < 0.4) {
    return [shown(` ${only.prompt}\n`), context, wanted(answerLine(only))];
  }
  return [
    context,
    ...exercises.flatMap((exercise) => [
      shown(` ${exercise.prompt}\n`),
      wanted(answerLine(exercise)),
    ]),
  ];
}

/**
 * Sentences of one article with gaps, numbered; then for each its number, its words, passages and what fills it; at the end
 * all fillings. The words and the fillings are to be predicted: the words can only be copied from the line of that
 * number.
 */
function worksheetPieces(
  library: FactLibrary,
  random: RandomStream,
  options: BaseExampleOptions,
): Piece[] {
  const sentences = random.pick([...library.sentencesOfDocument.values()]);
  const lines = sentences
    .flatMap((sentence) => lineOf(sentence, library, random, options))
    .slice(0, 1 + random.below(MAX_LINES));
  if (lines.length === 0) return exercisePieces(library, random, options);
  const text = sentences.map((sentence) => {
    const line = lines.find((candidate) => candidate.sentence === sentence);
    return line?.exercise.prompt ?? sentence.text;
  });
  const paragraph = random.uniform() < 0.5 ? [shown(` ${text.join(' ')}\n`)] : [];
  const numbered = lines.map((line, i) => ({ ...line, number: i + 1 }));
  const order = random.uniform() < 0.7 ? numbered : random.shuffled(numbered);
  const read = order.slice(0, random.uniform() < 0.3 ? 1 : order.length);
  return [
    ...paragraph,
    ...numbered.map(({ number, exercise }) => shown(` ${number}: ${exercise.prompt}\n`)),
    ...read.flatMap(({ number, exercise, passages }) => [
      shown(` ${number}:`),
      wanted(` ${wordsOf(exercise.prompt)}\n`),
      shown(render(passages)),
      wanted(answerLine(exercise)),
    ]),
    wanted(answerLine({ answers: read.flatMap(({ exercise }) => exercise.answers) })),
  ];
}

interface Line {
  readonly sentence: Sentence;
  readonly exercise: Exercise;
  /** Among them one of another document that fills the gap. */
  readonly passages: readonly Passage[];
}

/** Nothing if no other document states what the sentence does. */
function lineOf(
  sentence: Sentence,
  library: FactLibrary,
  random: RandomStream,
  options: BaseExampleOptions,
): Line[] {
  const fact = random.pick(sentence.facts);
  const others = fact.sentences.filter(({ document }) => document !== sentence.document);
  if (others.length === 0) return [];
  const { passage } = random.pick(others);
  const exercise = gapExercise(sentence, [passage], random);
  if (exercise === null) return [];
  const passages = withDistractors([passage], passage, library, random, options).filter(
    ({ documentId }) => documentId !== sentence.document.id,
  );
  return [{ sentence, exercise, passages }];
}

/** `needed` among up to `maxPassages` in all, drawn from the neighbours of `centre`, in random order. */
function withDistractors(
  needed: readonly Passage[],
  centre: Passage,
  { neighbours }: FactLibrary,
  random: RandomStream,
  { maxPassages }: BaseExampleOptions,
): Passage[] {
  const others = neighbours.get(centre.id) ?? [];
  const count = random.below(maxPassages - needed.length + 1);
  return random.shuffled([...needed, ...random.sample(others, Math.min(count, others.length))]);
}

function render(passages: readonly Passage[]): string {
  return passages.map((passage) => `${renderDocument(passage)}\n`).join('');
}

function answerLine({ answers }: Pick<Exercise, 'answers'>): string {
  return ` ${joinSlots(answers)}\n`;
}

/** A sentence without its gaps and its end. */
function wordsOf(sentence: string): string {
  return sentence
    .replaceAll(MASK_MARKER, ' ')
    .replace(/[.,;]+/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
}
