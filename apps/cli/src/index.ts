export { jsonSchemaOf } from './config/leaves.ts';
export { parseConfig, readConfigFile } from './config/load.ts';
export { runConfigSchema, type RunConfig } from './config/run-config.ts';
export type { RunContext, StageName } from './run/run-folder.ts';
export type { StageOutcome } from './run/run-stage.ts';
export { STAGES, type Stage, type StageFunction } from './stages/registry.ts';
export { runAllStages, runStagesUpTo } from './stages/run-all.ts';
