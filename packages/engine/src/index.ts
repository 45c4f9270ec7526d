export * from './create-native-model.ts';
export * from './memory-plan.ts';
export * from './native-language-model.ts';
