export { ChatClient, estimateTokens } from './chat-client.ts';
export { ChatError, failureKindOf, type FailureKind } from './chat-errors.ts';
export type * from './chat-types.ts';
export { completeJson, type JsonAnswer, type RepairMessage } from './complete-json.ts';
export { CostMeter, type CostReport, type Price, type Reservation } from './cost-meter.ts';
export type { EndpointOptions } from './endpoint.ts';
export * from './endpoint-config.ts';
export { cacheKey, ResponseCache } from './response-cache.ts';
export {
  TokenClient,
  type TokenModel,
  type TokenRequest,
  type TokenResponse,
} from './token-client.ts';
export { readCompletion, toWire } from './wire.ts';
export { parseTolerantJson } from './tolerant-json.ts';
