// What can be asked of passages: sentences with gaps that they fill, and questions that they answer.
import type { Passage, RandomStream } from '@masksearch/core';
import { maskText } from '@masksearch/ramp';
import { fillTemplate, relationOf } from '@masksearch/world';
import type { FactLibrary, Sentence, StatedFact } from './fact-library.ts';

export interface Exercise {
  readonly prompt: string;
  /** What fills the gaps, in text order, or the answer. */
  readonly answers: readonly string[];
}

/** How often a sentence gets a second gap, where it can. */
const SECOND_GAP = 0.4;

/** A sentence with one or two gaps that these passages fill; null if they fill none. */
export function gapExercise(
  { text, names }: Sentence,
  passages: readonly Passage[],
  random: RandomStream,
): Exercise | null {
  const known = names.filter(({ text: name }) =>
    passages.some((passage) => `${passage.title}: ${passage.text}`.includes(name)),
  );
  if (known.length === 0) return null;
  const gaps = random
    .sample(known, known.length > 1 && random.uniform() < SECOND_GAP ? 2 : 1)
    .toSorted((a, b) => a.start - b.start);
  return { prompt: maskText(text, gaps), answers: gaps.map((gap) => gap.text) };
}

/** Gaps and questions about facts that these passages state, in random order. */
export function exercisesOn(
  passages: readonly Passage[],
  { sentencesOf }: FactLibrary,
  random: RandomStream,
): Exercise[] {
  const shown = passages.flatMap(({ id }) => sentencesOf.get(id) ?? []);
  const facts = [...new Set(shown.flatMap((sentence) => sentence.facts))];
  const gaps = facts.flatMap((fact) => {
    const others = fact.sentences.filter((sentence) => !shown.includes(sentence));
    const exercise =
      others.length === 0 ? null : gapExercise(random.pick(others), passages, random);
    return exercise === null ? [] : [exercise];
  });
  const questions = facts.map((fact) => questionOf(fact, random));
  const chains = facts.flatMap((first) =>
    facts
      .filter((second) => isChain(first, second))
      .map((second) => chainOf(first, second, random)),
  );
  const comparisons = facts.flatMap((first, i) =>
    facts.slice(i + 1).flatMap((second) => comparisonOf(first, second, random)),
  );
  return random.shuffled([...gaps, ...questions, ...chains, ...comparisons]);
}

/** A question, or the noun phrase for what is asked. */
function questionOf({ relation, subject, object }: StatedFact, random: RandomStream): Exercise {
  const { questions, phrases } = relationOf(relation);
  const template = random.pick(random.uniform() < 0.7 ? questions : phrases);
  return { prompt: fillTemplate(template, { s: subject.name }), answers: [object.text] };
}

function isChain(first: StatedFact, second: StatedFact): boolean {
  return (
    first.object.documentId === second.subject.documentId &&
    first.subject.documentId !== second.object.documentId
  );
}

function chainOf(first: StatedFact, second: StatedFact, random: RandomStream): Exercise {
  const phrase = random.pick(relationOf(first.relation).phrases);
  const inner = fillTemplate(phrase, { s: first.subject.name });
  const question = random.pick(relationOf(second.relation).questions);
  return { prompt: fillTemplate(question, { s: inner }), answers: [second.object.text] };
}

/** Which of two subjects has the smaller year, where that can be asked. */
function comparisonOf(first: StatedFact, second: StatedFact, random: RandomStream): Exercise[] {
  const { comparison } = relationOf(first.relation);
  if (!comparison || first.relation !== second.relation) return [];
  if (first.object.text === second.object.text) return [];
  const [a, b] = random.shuffled([first, second]) as [StatedFact, StatedFact];
  const earlier = Number(a.object.text) < Number(b.object.text) ? a : b;
  const names = { a: a.subject.name, b: b.subject.name };
  const prompt = fillTemplate(random.pick(comparison), names);
  return [{ prompt, answers: [earlier.subject.name] }];
}
