export { decide, type Decision } from './decide.ts';
export { ModelPlayer, type ModelPlayerOptions, type TeacherModels } from './model-player.ts';
export { CHINESE } from './prompts/chinese.ts';
export { ENGLISH } from './prompts/english.ts';
export { promptsFor } from './prompts/language.ts';
export { promptHash, ROLES, type Prompts, type Role } from './prompts/prompts.ts';
export { askJudge, RoleFailure, type ModelVerdict, type RoleCall } from './role-calls.ts';
export * from './synthesis-config.ts';
export { synthesize, type SynthesisEnvironment } from './synthesize.ts';
