// What settings choose from, for command lines that must not load tfjs to print their help.
export * from './lora-targets.ts';
export * from './tfjs/backend-names.ts';
