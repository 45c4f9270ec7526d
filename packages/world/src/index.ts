export type { Statement } from './article.ts';
export { BLOCK_ARTICLES, KINDS, spanKinds, type Kind } from './kinds.ts';
export { generateQuestions, QUESTION_GROUPS } from './questions.ts';
export type { QuestionGroup, QuestionOptions } from './questions.ts';
export {
  fillTemplate,
  RELATION_NAMES,
  relationOf,
  type Relation,
  type RelationName,
} from './relations.ts';
export { generateWorld, MAX_ARTICLES, MIN_ARTICLES, worldFacts } from './world.ts';
export type { WorldFact, WorldOptions } from './world.ts';
export { SYLLABLES, type Split } from './words.ts';
