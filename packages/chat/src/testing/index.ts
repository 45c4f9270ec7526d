export { HOSTILE_TEXTS } from './hostile-texts.ts';
export {
  MisbehavingServer,
  type AskedChat,
  type Fault,
  type ServerOptions,
  type ServerStatistics,
} from './misbehaving-server.ts';
