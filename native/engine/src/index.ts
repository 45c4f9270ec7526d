export type * from './binding.ts';
export { cudaPluginPath, loadBinding } from './load-binding.ts';
export { callNative, callNativeSync } from './native-errors.ts';
