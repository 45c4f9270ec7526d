export type { AdmissionLimits } from './http/admission.ts';
export type { RunningServer } from './http/server.ts';
export {
  type RetrieveLimits,
  type RetrieveServerOptions,
  startRetrieveServer,
} from './retrieve/retrieve-server.ts';
export type { AgentOptions } from './chat/agent-service.ts';
export { type ChatServerOptions, startChatServer } from './chat/chat-server.ts';
export { InProcessChat } from './chat/in-process-chat.ts';
export type { ChatLimits, ModelOptions, ServableModel } from './chat/served-model.ts';
