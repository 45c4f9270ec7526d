export * from './native-language-model.ts';
