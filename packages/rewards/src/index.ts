export * from './answer-metrics.ts';
export { bestMatching } from './best-matching.ts';
export { answerTokens, normalizeAnswer } from './normalize-answer.ts';
export * from './overlong.ts';
export * from './score-episode.ts';
export * from './slot-scores.ts';
